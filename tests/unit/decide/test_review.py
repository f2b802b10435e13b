"""A change to what is judged waits for somebody's word where the base asks for it, and for nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from makeweight.decide import reviewed, verdict
from makeweight.decide.verdict import EXIT_CODES, NOT_ASKED, Alteration, Outcome, Review, VariantVerdict, Verdict
from makeweight_base.errors import Exit

FEWER = Alteration("test examples", "400", "100, 300 fewer")
ADDED = Alteration("variant `more`", "none", "float16", weakens=False)
LOOSER = Alteration("`size.max`", "at most 1 MB", "at most 2 MB", accepted=True)
PASSED = Verdict(
    "pass", "`int8` ships: it passes 3 of 3 rules.", "int8", "best", "size", "tiny",
    [VariantVerdict("int8", "pass", True, "passes 3 of 3 rules")], [], [],
)  # fmt: skip


def review(*alterations: Alteration, required: bool = True, by: str | None = None) -> Review:
    return Review(alterations, required, f"reviewed:{'a' * 40}", by)


def test_what_would_pass_is_open_and_ships_nothing_until_then() -> None:
    found = reviewed(PASSED, review(FEWER, ADDED))
    assert (found.verdict, found.ship, EXIT_CODES[found.verdict]) == ("inconclusive", None, Exit.INCONCLUSIVE)
    assert not any(each.ships for each in found.variants)
    assert found.review.ships == "int8"
    assert "nobody has reviewed it: test examples 400 → 100, 300 fewer. But for that: `int8` ships" in found.sentence


@pytest.mark.parametrize(
    "asked",
    [
        review(),
        review(ADDED),
        review(LOOSER),
        review(FEWER, required=False),
        review(FEWER, by="label by @boss"),
    ],
    ids=["nothing altered", "nothing weaker", "accepted by a waiver", "not asked for", "reviewed"],
)
def test_nothing_else_waits(asked: Review) -> None:
    assert reviewed(PASSED, asked) == replace(PASSED, review=asked)


@pytest.mark.parametrize("outcome", ["fail", "inconclusive"])
def test_a_budget_that_is_broken_or_open_stays_what_it_is(outcome: Outcome) -> None:
    broken = replace(PASSED, verdict=outcome, ship=None)
    found = reviewed(broken, review(FEWER))
    assert (found.verdict, found.sentence) == (outcome, broken.sentence)
    assert found.review.open


def test_nothing_to_decide_waits_too() -> None:
    assert reviewed(replace(PASSED, verdict="not_applicable", ship=None), review(FEWER)).verdict == "inconclusive"


def test_what_was_altered_survives_the_file_and_an_older_file_has_none() -> None:
    found = reviewed(PASSED, review(FEWER, LOOSER))
    assert verdict.loads(verdict.dumps(found), "verdict.json") == found
    older = verdict.dumps(PASSED).replace('"review"', '"something_else"')
    assert verdict.loads(older, "verdict.json").review == NOT_ASKED
