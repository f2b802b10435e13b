"""What a job says in its log: the words of a change in it, progress and errors alike, are no commands."""

from __future__ import annotations

import argparse
import io

import pytest

from makeweight.github.log import Failed, Inert
from makeweight.verbs.ci import entry
from makeweight_base.errors import ConfigError, Exit, MakeweightError, Problem, UsageError
from makeweight_base.progress import Plain
from unit.github.test_commands import runner

HOSTILE = "its last lines:\n    ::set-output name=handed::0\n##[error]x"


def test_progress_says_the_same_and_commands_nothing() -> None:
    log = io.StringIO()
    told = Inert(Plain(log))
    told.say(f"::notice::passed\n{HOSTILE}")
    assert list(told.over([1, 2], "::error::x", 2)) == [1, 2]
    assert runner(log.getvalue()) == []
    assert "its last lines:" in log.getvalue()


@pytest.mark.parametrize(
    "error",
    [
        UsageError(HOSTILE, where="dvc", do="::error::y"),
        ConfigError([Problem("makeweight.yaml", 3, "odd", "##[add-mask]fail")]),
    ],
    ids=["last lines of a program", "a line of a file"],
)
def test_an_error_keeps_its_words_its_code_and_its_places(error: MakeweightError) -> None:
    told = Failed(error)
    assert runner(f"error: {told}") == []
    assert str(told).replace("\u200b", "") == str(error)
    assert (told.exit_code, tuple(told.problems)) == (Exit.USAGE, tuple(error.problems))


@pytest.mark.parametrize("in_a_job", [True, False])
def test_every_phase_fails_so_in_a_job(monkeypatch: pytest.MonkeyPatch, in_a_job: bool) -> None:
    def fails(*_: object) -> Exit:
        raise UsageError(HOSTILE)

    monkeypatch.setattr(entry, "_run", fails)
    with pytest.raises(MakeweightError) as told:
        entry.run(argparse.Namespace(), {"GITHUB_ACTIONS": "true"} if in_a_job else {})
    assert (runner(str(told.value)) == []) is in_a_job
