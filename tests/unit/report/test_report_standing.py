from __future__ import annotations

from dataclasses import replace

import invented_content as invented

from makeweight.report.figures import Figures
from makeweight.report.prose import reasons
from makeweight.report.standing import blocking, leading, line, named, offences, passing
from makeweight.report.terminal import last_lines


def test_what_ships_leads():
    assert leading(invented.content().verdict) == "slim-int8"


def test_what_must_ship_leads_even_when_others_pass():
    verdict = invented.undecided().verdict
    assert leading(verdict) == "slim-int8"
    assert passing(verdict) == ["int8"]


def test_the_nearest_to_passing_leads_and_a_failed_recipe_is_farthest():
    models = (
        invented.Model("bad", 0, 0, {}, failed="out of memory", broken={"recipe": "could not be made"}),
        invented.Model("two", 1, 0, broken={"size.max": "x", "accuracy.max_drop": "y"}),
        invented.Model("one", 1, 0, broken={"size.max": "x"}),
    )
    assert leading(invented.content(models, ship=None).verdict) == "one"
    assert leading(invented.content(models[:1], ship=None).verdict) == "bad"
    # what is only open may yet pass
    still = invented.Model("open", 1, 0, undecided={"size.max": "x", "accuracy.max_drop": "y"})
    assert leading(invented.content((*models, still), ship=None).verdict) == "open"


def test_no_variant_leads_nothing():
    verdict = replace(invented.content().verdict, variants=[], rules=[], ship=None)
    assert leading(verdict) is None
    assert offences(verdict) == []


def test_broken_rules_come_before_open_ones():
    assert [rule.verdict for rule in blocking(invented.undecided().verdict, "slim-int8")] == ["fail", "inconclusive"]


def test_offences_end_with_what_matters_most():
    verdict = invented.undecided().verdict
    assert [rule.verdict for rule in offences(verdict)] == ["inconclusive", "inconclusive", "fail"]
    assert offences(verdict)[0].level == "warn"
    assert {rule.variant for rule in offences(verdict)} == {"slim-int8"}


def test_a_variant_that_fails_and_does_not_ship_is_no_offence():
    assert {rule.variant for rule in offences(invented.content().verdict)} == {"slim-int8"}


def test_a_line_says_outcome_variant_reason_and_remedy():
    opened = next(r for r in offences(invented.undecided().verdict) if r.level == "error" and r.settle)
    assert line(opened).startswith("undecided: slim-int8: latency p50 on laptop is 0.69x")
    assert line(opened).endswith("To settle it: makeweight benchmark slim-int8 --device laptop --seconds 30")


def test_rules_have_short_names():
    rules = invented.undecided().verdict.of("slim-int8")
    assert [named(rule) for rule in rules][:2] == ["size at most 1 MB", "accuracy drop at most 0.5 pt"]


def test_one_sentence_of_two_rules_is_told_once():
    both = {"size.max": "size is not measured: stale.", "accuracy.max_drop": "size is not measured: stale."}
    made = invented.content((invented.Model("int8", 1, 0, undecided=both),), ship=None)
    assert reasons(made, Figures(made), "int8") == ["Size is not measured: stale."]
    settle = "To settle it: makeweight benchmark int8 --device None --seconds 30"
    assert last_lines(made.verdict)[1:] == [("undecided", f"undecided: int8: size is not measured: stale. {settle}")]
