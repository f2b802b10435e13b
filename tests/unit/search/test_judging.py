"""What trials are worth: by the rules of the budget, on figures as they are measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from makeweight.budget.metric import METRICS
from makeweight.budget.operator import OPERATORS
from makeweight.budget.rule import Rule
from makeweight.decide import Terms
from makeweight.measurement import Measurement
from makeweight.search import judging
from makeweight.search.proposals import Proposal
from makeweight.search.trial import Trial, name_of


def rule(metric: str, operator: str, limit: float) -> Rule:
    return Rule(METRICS[metric], OPERATORS[operator], limit)


TERMS = Terms(
    "tiny",
    (rule("size", "max_ratio", 0.5), rule("accuracy", "max_drop", 0.02), rule("latency_p50", "max_ratio", 0.8)),
    (),
    {"here": 10.0},
    prefer="size",
)


def trial(number: int, size: float, drop: float, latency: float | None = 0.5, **more: Any) -> Trial:
    """A trial whose baseline has 1000 bytes, an accuracy of 95 % and takes a second."""
    name = name_of(number)
    figures = [
        Measurement("size", name, "B", 1000 * size),
        Measurement("size", name, "ratio", size, comparison="ratio"),
        Measurement("accuracy", name, "fraction", 0.95 - drop, samples=100),
        Measurement("accuracy", name, "fraction", drop, samples=100, comparison="drop"),
        Measurement("nonfinite_outputs", name, "fraction", 0.0, samples=100),
    ]
    if latency is not None:
        spread = (latency * 0.99, latency * 1.01)
        timed = Measurement("latency_p50", name, "ratio", latency, spread, device="here", comparison="ratio")
        figures.append(replace(timed, noise_floor=0.01))
    return Trial(number, Proposal({}, {}), "whole", None, tuple(figures), **more)


def test_the_best_by_what_is_preferred_wins() -> None:
    trials = [trial(0, 0.4, 0.0), trial(1, 0.3, 0.0), trial(2, 0.2, 0.05)]
    assert [each.number for each in judging.winners(TERMS, trials, 0.1, 1)] == [1]
    assert [each.number for each in judging.winners(TERMS, trials, 0.1, 5)] == [1, 0]
    faster = replace(TERMS, prefer="latency")
    trials[0] = trial(0, 0.4, 0.0, 0.4)
    assert [each.number for each in judging.winners(faster, trials, 0.1, 1)] == [0]


def test_one_with_room_to_spare_goes_before_one_without() -> None:
    tight, roomy = trial(0, 0.3, 0.0199), trial(1, 0.4, 0.01)
    assert [each.number for each in judging.winners(TERMS, [tight, roomy], 0.1, 2)] == [1]
    assert [each.number for each in judging.winners(TERMS, [tight], 0.1, 2)] == [0]
    assert not judging.met(TERMS, [tight], 0.1)
    assert judging.met(TERMS, [tight], 0.0)
    assert judging.met(TERMS, [tight, roomy], 0.1)


def test_what_was_not_measured_wins_nothing() -> None:
    assert judging.winners(TERMS, [trial(0, 0.3, 0.0, None)], 0.1, 1) == []
    assert judging.judged(TERMS, [trial(0, 0.3, 0.0, None)]).verdict == "inconclusive"


def test_a_budget_that_none_reaches_names_the_nearest_and_its_rule() -> None:
    verdict = judging.judged(TERMS, [trial(0, 0.9, 0.1, 0.9), trial(1, 0.3, 0.05)])
    assert verdict.verdict == "fail"
    assert verdict.sentence == ("no variant passes every rule; nearest is `trial-2`: breaks accuracy.max_drop.")
    assert judging.winners(TERMS, [trial(0, 0.9, 0.1, 0.9)], 0.1, 1) == []


def test_nothing_carried_through_is_no_pass() -> None:
    given_up = replace(trial(0, 0.3, 0.0), ended="form", reason="too large")
    assert judging.judged(TERMS, [given_up]).verdict == "fail"
    assert judging.winners(TERMS, [given_up], 0.1, 1) == []
    assert not judging.met(TERMS, [], 0.1)
    failed = Trial(0, Proposal({}, {}), "failed", "no such layer", ())
    assert "no such layer" in judging.judged(TERMS, [failed]).rules[0].sentence


def test_a_form_is_given_up_for_what_training_cannot_mend() -> None:
    def reason(each: Trial) -> str | None:
        figures = [figure for figure in each.figures if figure.metric in ("size", "latency_p50")]
        found = judging.hopeless(TERMS, each.name, figures)
        return None if found is None else found.rule

    assert reason(trial(0, 0.6, 0.0, None)) == "size.max_ratio"
    assert reason(trial(0, 0.3, 0.0, 0.9)) == "latency_p50.max_ratio"
    assert reason(trial(0, 0.3, 0.9, 0.7)) is None
    # a little over may be under after training, which rounds some channels another way
    assert reason(trial(0, 0.51, 0.0, 0.7)) is None


@pytest.mark.parametrize(
    ("metric", "operator", "limit", "value", "expected"),
    [
        ("size", "max_ratio", 0.5, 0.75, 0.5),
        ("size", "max_ratio", 0.5, 0.25, -0.5),
        ("accuracy", "max_drop", 0.02, 0.03, 0.5),
        ("accuracy", "max_drop", 0.02, -0.02, -2.0),
        ("accuracy", "max_drop", 0.0, 0.01, 0.01),
        # at most 10 % may be wrong, and 15 % are: half as much again
        ("accuracy", "min", 0.9, 0.85, 0.5),
        ("accuracy", "min", 0.9, 0.95, -0.5),
    ],
)
def test_what_is_left_of_a_limit(metric: str, operator: str, limit: float, value: float, expected: float) -> None:
    terms = replace(TERMS, rules=(rule(metric, operator, limit),))
    comparison = OPERATORS[operator].comparison
    figures = (
        Measurement(metric, "trial-1", "", value, comparison=comparison),
        Measurement("nonfinite_outputs", "trial-1", "fraction", 0.0),
    )
    (judged,) = judging.judged(terms, [Trial(0, Proposal({}, {}), "whole", None, figures)]).rules
    assert judging.excess(judged) == pytest.approx(expected)


def test_what_comes_near_is_before_what_was_given_up_and_that_before_what_cannot_be_made() -> None:
    def short(each: Trial) -> float:
        return sum(judging.shortfalls(TERMS, each))

    def given_up(size: float, latency: float, ended: Any) -> Trial:
        """Whose accuracy nobody has seen."""
        each = trial(0, size, 0.0, latency)
        figures = tuple(figure for figure in each.figures if figure.metric in ("size", "latency_p50"))
        return replace(each, figures=figures, ended=ended, reason="given up")

    # half as large again as the limit, and nothing else: 0.5 / 1.5
    assert short(trial(0, 0.75, 0.0)) == pytest.approx(1 / 3)
    assert short(trial(0, 0.4, 0.01)) == 0
    in_order = [
        # a tenth too slow, then a half
        given_up(0.4, 0.88, "form"),
        given_up(0.4, 1.2, "form"),
        given_up(0.9, 1.2, "form"),
        # untrained, with an accuracy of chance: one rule, however far that is
        trial(0, 0.4, 0.85),
        given_up(0.4, 0.5, "stopped"),
        Trial(0, Proposal({}, {}), "failed", "it changes nothing", ()),
    ]
    assert [short(each) for each in in_order] == sorted(map(short, in_order))
    assert len({short(each) for each in in_order}) == len(in_order)
    # none of them holds the rules
    assert all(max(judging.shortfalls(TERMS, each)) > 0 for each in in_order)


def test_a_form_counts_by_what_it_tells_and_a_stopped_training_as_if_it_had_lost_all() -> None:
    """By however many rules its quality is judged."""
    quality = (rule("accuracy", "max_drop", 0.02), rule("accuracy", "min", 0.94), rule("negative_flips", "max", 0.015))
    gone = replace(rule("energy", "max_ratio", 0.8), when_unmeasured="ignore")
    terms = replace(TERMS, rules=(rule("size", "max_ratio", 0.5), *quality, gone))

    def carried_through(size: float, lost: float) -> Trial:
        each = trial(0, size, lost)
        flips = Measurement("negative_flips", each.name, "fraction", lost, samples=100)
        return replace(each, figures=(*each.figures, flips))

    poor, as_it_was = carried_through(0.4, 0.85), carried_through(1.0, 0.0)
    sizes = tuple(figure for figure in trial(0, 0.6, 0.0).figures if figure.metric == "size")
    form = Trial(0, Proposal({}, {}), "form", "its form is too large", sizes)
    large = tuple(figure for figure in trial(0, 500.0, 0.0).figures if figure.metric == "size")
    stopped = replace(form, ended="stopped")
    failed = Trial(0, Proposal({}, {}), "failed", "it changes nothing", ())
    in_order = (
        form,
        as_it_was,
        replace(form, figures=large),
        poor,
        stopped,
        replace(stopped, figures=large),
        failed,
    )
    short = [sum(judging.shortfalls(terms, each)) for each in in_order]
    assert short == sorted(set(short))
    # a fifth over its limit, and 1 for each rule that nobody saw it hold: three, and that answers are finite
    assert short[0] == pytest.approx(0.2 / 1.2)
    assert short[4] == pytest.approx(0.2 / 1.2 + 4)


def test_a_form_that_was_given_up_for_its_size_is_not_behind_what_changes_nothing_for_being_timed_nowhere() -> None:
    devices = ("here", "there", "elsewhere")
    as_it_was = trial(0, 1.0, 0.0, None)
    (timed,) = (figure for figure in trial(0, 1.0, 0.0, 1.0).figures if figure.device)
    as_it_was = replace(as_it_was, figures=(*as_it_was.figures, *(replace(timed, device=each) for each in devices)))
    sizes = tuple(figure for figure in trial(0, 0.6, 0.0).figures if figure.metric == "size")
    form = Trial(0, Proposal({}, {}), "form", "its form is too large", sizes)
    terms = replace(TERMS, devices=dict.fromkeys(devices, 10.0))
    assert sum(judging.shortfalls(terms, form)) == pytest.approx(0.2 / 1.2)
    assert sum(judging.shortfalls(terms, as_it_was)) > sum(judging.shortfalls(terms, form))


def test_objectives_are_what_the_budget_names() -> None:
    assert [role for role, _ in judging.objectives(TERMS)] == ["size", "latency", "quality"]
    good = replace(TERMS, rules=(rule("accuracy", "min", 0.9),))
    assert [(role, of.metric) for role, of in judging.objectives(good)] == [("quality", "accuracy")]
    assert [role for role, _ in judging.objectives(replace(TERMS, rules=()))] == ["size"]
    better, worse = (judging.costs(TERMS, each) for each in (trial(0, 0.3, 0.0), trial(0, 0.4, 0.01, 0.6)))
    assert all(one < other for one, other in zip(better, worse, strict=True))


@pytest.mark.parametrize(
    ("metric", "declared", "better"),
    [("r2", "lower", 0.9), ("rmse", "lower", 0.2), ("metric", "lower", 0.2), ("metric", "higher", 0.9)],
)
def test_what_is_made_good_is_the_metric_that_the_budget_names(metric: str, declared: str, better: float) -> None:
    """Of a regression the error stands for the task, and a budget may be about R squared alone, which is to rise."""
    operator = "min" if better > 0.5 else "max"
    terms = replace(TERMS, rules=(rule(metric, operator, 0.5),), quality="rmse", quality_better=declared)
    one, other = (
        Trial(0, Proposal({}, {}), "whole", None, (Measurement(metric, "trial-1", "", value),)) for value in (0.9, 0.2)
    )
    costs = {value: judging.costs(terms, each) for value, each in ((0.9, one), (0.2, other))}
    assert min(costs, key=lambda value: costs[value]) == better
