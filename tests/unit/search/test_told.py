"""What people read of a trial."""

from __future__ import annotations

from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest

from makeweight.decide import Terms
from makeweight.search import judging
from makeweight.search.found import _sentence
from makeweight.search.proposals import Proposal
from makeweight.search.told import print_to, recipe_words, spent_words, summary
from makeweight.search.trial import Trial


def test_a_recipe_in_words() -> None:
    steps = [{"prune": {"ratio": 0.5, "epochs": 1}}, "float16"]
    assert recipe_words({"runtime": "litert", "steps": steps}) == "prune ratio 0.5, epochs 1 → float16 (litert)"
    assert recipe_words({"runtime": "litert", "steps": []}) == "as it is (litert)"


REPORT = {
    "sentence": "`found-1` (trial 7) passes 3 of 3 rules on the validation split.",
    "tried": 7,
    "forms": 0,
    "spent": 7.0,
    "wanted": 12,
    "why": "met",
    "winners": [
        {
            "variant": "found-1",
            "already": False,
            "settings": {"runtime": "onnxruntime", "steps": [{"prune": {"ratio": 0.698, "epochs": 2}}, "float16"]},
        }
    ],
    "page": "reports/search/search.html",
    "kept": {"bytes": 214_000_000, "folder": ".makeweight/search"},
}


@pytest.mark.parametrize(
    ("forms", "spent", "said"),
    [
        (0, 7.0, "7 of 12 trials"),
        (1, 6.2, "6.2 of 12 trials, one recipe of which counts as a fifth: it was given up for its untrained form"),
        (
            4,
            3.8,
            "3.8 of 12 trials, 4 recipes of which count as a fifth each: they were given up for their untrained form",
        ),
        # of which 0.8 were spent on forms before the last whole one
        (
            4,
            12.8,
            "12.8 of 12 trials, 4 recipes of which count as a fifth each: they were given up for their untrained form",
        ),
        (0, 14.0, "14 of 14 trials"),
    ],
    ids=["no form", "one form", "several forms", "forms beyond the trials", "more trials than wanted"],
)
def test_what_was_spent_says_what_counts_less(forms: int, spent: float, said: str) -> None:
    assert spent_words({**REPORT, "forms": forms, "spent": spent}) == said


def test_where_nothing_was_tried_it_says_why() -> None:
    nothing = judging.judged(Terms("tiny", (), (), {}), [])

    def said(why: str, objection: str, *trials: Trial) -> str:
        found: Any = SimpleNamespace(trials=trials, why=why, objection=objection)
        return _sentence(found, nothing, [])

    assert said("space", "an ExecuTorch program is finished") == (
        "nothing was tried, for no recipe of the space makes sense on this model: an ExecuTorch program is finished"
    )
    assert said("hours", "") == "nothing was tried: the time is over"
    given_up = Trial(0, Proposal({}, {}), "form", "too large", ())
    assert said("trials", "") != said("trials", "", given_up)
    assert said("trials", "", given_up).endswith("the first was given up: too large")


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_the_summary_is_as_wide_as_a_terminal_and_in_a_log_each_line_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    log, terminal = StringIO(), Terminal()
    print_to(REPORT, log)
    print_to(REPORT, terminal)
    assert log.getvalue() == summary(REPORT) + "\n"
    lines = terminal.getvalue().splitlines()
    assert max(map(len, lines)) <= 60
    assert " ".join(" ".join(lines).split()) == " ".join(summary(REPORT).split())
    assert sum(line.startswith("  ") for line in lines) == 2, "what belongs to the variant is set in"
