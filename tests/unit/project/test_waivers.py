"""Waivers: who is let through, until when, and that nobody overlooks it."""

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeweight.budget.measurand import Measurand
from makeweight.budget.rule import Budget, Rule, rules_of
from makeweight.decide import Terms, Waiver, decide
from makeweight.decide import verdict as verdict_file
from makeweight.decide.verdict import Verdict, distance
from makeweight.decide.waivers import in_force, unmatched
from makeweight.measurement import Measurement, unavailable

TODAY = date(2026, 6, 1)
SIZE = Waiver("size.max", None, "driver fix pending", date(2026, 12, 31), "label by @x")


def rules(**budget: object) -> tuple[Rule, ...]:
    return tuple(rules_of(Budget.model_validate(budget)))


BUDGET = rules(size={"max": "1 kB"}, parameters={"max": 100})


def measured(variant: str, size: float, parameters: float = 1) -> list[Measurement]:
    return [
        Measurement("nonfinite_outputs", variant, "fraction", 0.0, samples=9),
        Measurement("size", variant, "B", size),
        Measurement("parameters", variant, "count", parameters),
    ]


def decided(*waivers: Waiver, figures: list[Measurement] | None = None, **more: Any) -> Verdict:
    terms = Terms("digits", more.pop("rules", BUDGET), more.pop("variants", ("int8",)), {}, waivers=waivers, **more)
    return decide(terms, measured("int8", 2000) if figures is None else figures, {})


def test_a_waived_rule_no_longer_blocks_and_is_no_pass() -> None:
    found = decided(SIZE)
    assert (found.verdict, found.ship) == ("pass", "int8")
    size = next(rule for rule in found.rules if rule.rule == "size.max")
    assert size.verdict == "fail"
    assert not size.blocks
    assert size.waiver == "waived until 2026-12-31 (label by @x): driver fix pending"
    assert found.variants[0].sentence == "passes 1 of 2 rules, 1 waived"
    assert found.sentence == "`int8` ships (best by latency of 1 that passes): it passes 1 of 2 rules, 1 waived."


def test_without_it_the_same_rule_blocks() -> None:
    found = decided()
    assert found.verdict == "fail"
    assert all(rule.waiver is None for rule in found.rules)


def test_an_open_rule_can_be_waived() -> None:
    figures = [m for m in measured("int8", 1) if m.metric != "size"]
    assert decided(figures=figures).verdict == "inconclusive"
    found = decided(SIZE, figures=figures)
    assert found.verdict == "pass"
    assert [rule.verdict for rule in found.rules if rule.waiver is not None] == ["inconclusive"]


def test_the_other_rules_still_block() -> None:
    found = decided(SIZE, figures=measured("int8", 2000, 200))
    assert found.verdict == "fail"
    assert found.variants[0].sentence == "breaks parameters.max; waived: size.max"


def test_what_passes_needs_no_waiver_and_bears_none() -> None:
    assert all(rule.waiver is None for rule in decided(SIZE, figures=measured("int8", 10)).rules)


def test_what_only_warns_needs_no_waiver() -> None:
    found = decided(SIZE, rules=rules(size={"max": "1 kB", "level": "warn"}))
    assert all(rule.waiver is None for rule in found.rules)


def test_a_waiver_for_one_variant_is_for_that_one() -> None:
    figures = measured("a", 2000) + measured("b", 2000)
    found = decided(replace(SIZE, variant="b"), figures=figures, variants=("a", "b"))
    assert [each.verdict for each in found.variants] == ["fail", "pass"]
    assert found.ship == "b"


def test_nobody_waives_a_model_that_is_not_there_or_answers_no_numbers() -> None:
    waivers = [replace(SIZE, rule=name) for name in ("recipe", "finite_outputs")]
    terms = Terms("digits", BUDGET, ("int8",), {}, waivers=tuple(waivers))
    assert decide(terms, [], {"int8": "out of memory"}).verdict == "fail"
    bad = replace(measured("int8", 1)[0], value=0.5)
    assert decide(terms, [bad, *measured("int8", 1)[1:]], {}).verdict == "fail"
    assert decide(terms, measured("int8", 1)[1:], {}).verdict == "inconclusive"
    assert unmatched(waivers, BUDGET) == tuple(waivers)


def test_what_needs_no_waiver_ships_before_what_does() -> None:
    figures = measured("small", 1, 200) + measured("large", 999, 50)
    waiver = replace(SIZE, rule="parameters.max")
    found = decided(waiver, figures=figures, variants=("small", "large"), prefer="size")
    assert [each.verdict for each in found.variants] == ["pass", "pass"]
    assert found.ship == "large"
    assert "best by size of 1 that passes without a waiver" in found.sentence
    named = decided(waiver, figures=figures, variants=("small", "large"), ship="small")
    assert named.ship == "small"


def test_of_two_as_far_from_passing_the_one_with_fewer_waivers_is_nearer() -> None:
    plain = decided(figures=measured("int8", 10, 200)).rules
    helped = decided(SIZE, figures=measured("int8", 2000, 200)).rules
    assert distance(plain) < distance(helped)


@given(st.dates(), st.dates())
def test_the_last_day_is_a_day_on_which_it_holds(until: date, today: date) -> None:
    waiver = replace(SIZE, until=until)
    active, lapsed = in_force([waiver], today)
    assert (waiver in active) == (today <= until)
    assert {*active, *lapsed} == {waiver}
    assert not {*active} & {*lapsed}


@pytest.mark.parametrize(
    ("waiver", "matched"),
    [
        (SIZE, True),
        (replace(SIZE, rule="size"), False),
        (replace(SIZE, variant="int8"), True),
        (replace(SIZE, variant="int4"), False),
    ],
)
def test_a_waiver_of_nothing_is_found(waiver: Waiver, matched: bool) -> None:
    assert unmatched([waiver], BUDGET, ["int8"]) == (() if matched else (waiver,))


def test_a_verdict_with_waivers_and_notices_survives_its_file() -> None:
    found = replace(decided(SIZE), notices=["this pull request loosens the budget: `size.max` removed."])
    assert verdict_file.loads(verdict_file.dumps(found), "verdict.json") == found


def test_a_file_from_before_there_were_waivers_can_be_read() -> None:
    data = json.loads(verdict_file.dumps(decided()))
    del data["notices"]
    for rule in data["rules"]:
        del rule["waiver"]
    assert verdict_file.loads(json.dumps(data), "verdict.json") == decided()


@given(st.sampled_from([500, 2000, None]), st.sampled_from([50, 200, None]), st.sets(st.sampled_from([0, 1])))
def test_waivers_only_ever_let_through(size: float | None, parameters: float | None, which: set[int]) -> None:
    figures = [
        measured("int8", 1)[0],
        unavailable(Measurand("size"), "int8", "B", "lost") if size is None else Measurement("size", "int8", "B", size),
        unavailable(Measurand("parameters"), "int8", "count", "lost")
        if parameters is None
        else Measurement("parameters", "int8", "count", parameters),
    ]
    waivers = [replace(SIZE, rule=BUDGET[i].id) for i in which]
    before, after = decided(figures=figures), decided(*waivers, figures=figures)
    assert [rule.verdict for rule in after.rules] == [rule.verdict for rule in before.rules]
    named = {waiver.rule for waiver in waivers}
    assert {rule.rule for rule in after.rules if rule.blocks} == {
        rule.rule for rule in before.rules if rule.blocks
    } - named
