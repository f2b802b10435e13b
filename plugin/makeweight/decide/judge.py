"""One rule held against one measurement: pass, fail, inconclusive or not applicable, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from makeweight.budget.measurand import Measurand
from makeweight.budget.metric import times
from makeweight.decide.settle import again, longer, needed, time_factor
from makeweight.decide.terms import Measured, Terms
from makeweight.decide.verdict import RECIPE, Outcome, RuleVerdict
from makeweight.decide.words import amount, demand, limit_alone, subject
from makeweight.measure.statistics import MEDIAN, at_confidence, examples_needed, samples_needed, wilson
from makeweight.measurement import Cause, Measurement

if TYPE_CHECKING:
    from makeweight.budget.rule import Rule

_MOST_EXAMPLES = 10**9


@dataclass(frozen=True)
class _Finding:
    outcome: Outcome
    sentence: str
    settle: str | None = None
    reason: str | None = None
    cause: Cause | None = None


def judge(rule: Rule, variant: str, device: str | None, measured: Measured, terms: Terms) -> RuleVerdict:
    measurement = measured.get((variant, device, rule.measurand))
    finding = _find(rule, variant, device, measured, terms)
    value = measurement.value if measurement else None
    only_warns = finding.outcome == "inconclusive" and not _is_measured(measurement) and rule.when_unmeasured == "warn"
    return RuleVerdict(
        rule=rule.id,
        metric=rule.metric.name,
        operator=rule.operator.name,
        variant=variant,
        device=device,
        slice=rule.slice,
        limit=rule.limit,
        limit_text=rule.limit_text,
        value=value,
        interval=_interval(rule, measurement) if measurement and value is not None else None,
        verdict=finding.outcome,
        level="warn" if only_warns else rule.level,
        sentence=finding.sentence,
        settle=finding.settle,
        reason=finding.reason,
        cause=finding.cause,
    )


def _is_measured(measurement: Measurement | None) -> bool:
    """An estimate is none: it is shown, and never decides."""
    return measurement is not None and measurement.value is not None and measurement.status == "measured"


def _find(rule: Rule, variant: str, device: str | None, measured: Measured, terms: Terms) -> _Finding:
    named = subject(rule, device)
    measurement = measured.get((variant, device, rule.measurand))
    if rule.operator.against == "merge base" and measurement is None:
        return _Finding("not_applicable", f"{named} has no merge base to be compared with here: CI compares it.")
    if measurement is None or measurement.value is None or not _is_measured(measurement):
        return _unmeasured(rule, variant, device, measured, named, terms)
    interval = _interval(rule, measurement)
    statement = f"{named} {amount(rule, measurement, interval)}"
    if rule.metric.judged == "point" and rule.confidence is None:
        value = measurement.value
        return _settled(rule, statement, met=value <= rule.limit if rule.operator.upper else value >= rule.limit)
    if interval is None:
        return _Finding("inconclusive", f"{statement}, and there is no interval to judge it by.")
    return _by_interval(rule, variant, device, measurement, interval, statement, terms)


def _settled(rule: Rule, statement: str, *, met: bool) -> _Finding:
    return _Finding("pass" if met else "fail", f"{statement}{';' if met else ', and'} {demand(rule)}.")


def _by_interval(
    rule: Rule,
    variant: str,
    device: str | None,
    measurement: Measurement,
    interval: tuple[float, float],
    statement: str,
    terms: Terms,
) -> _Finding:
    """Decided only when the limit lies outside the interval, and outside the noise floor around the value."""
    value = measurement.value or 0.0
    low, high = interval
    shown = limit_alone(rule)
    floor = 1 + (measurement.noise_floor or 0.0)
    limit = rule.limit
    # a growth of 5 % is a ratio of 1.05: the floor is a ratio too
    near, base = (1 + value, 1 + limit) if rule.operator.comparison == "regression" else (value, limit)
    if rule.operator.upper:
        good, bad = near * floor <= base, near > base * floor
        met, broken = good and high <= limit, bad and low > limit
    else:
        good, bad = near >= base * floor, near * floor < base
        met, broken = good and low >= limit, bad and high < limit
    if met or broken:
        return _settled(rule, statement, met=met)
    if rule.confidence is not None:
        return _short_of_examples(rule, measurement, interval, statement)
    # the floor first: where both stand in the way, a narrower interval alone settles nothing
    if not good and not bad:
        return _Finding(
            "inconclusive",
            f"{statement}: the limit, {shown}, lies within the noise floor of {floor - 1:.1%} (what copies of one "
            f"model differed by). More time will not settle it; a quieter device or another limit "
            f"would{_or_own(rule)}.",
        )
    statement = f"{statement}: the limit, {shown}, lies within that interval"
    if not rule.metric.narrows:
        return _Finding(
            "inconclusive",
            f"{statement}, which is the range of the repeats and does not narrow with time; another limit would "
            "settle it.",
        )
    factor = time_factor(value, interval, limit)
    if rule.operator.against == "merge base":
        return _Finding("inconclusive", f"{statement}; {_more_seconds(device, factor, terms)}.")
    settle = longer(variant, device, factor, terms)
    tail = "." if settle else "; to tell them apart would take over an hour of measuring, so another limit is needed."
    return _Finding("inconclusive", statement + tail, settle)


def _or_own(rule: Rule) -> str:
    """What a tail of the wall time can be judged by instead, where neighbours make that noisy."""
    metric = rule.metric
    if metric.meter != "wall" or metric.quantile in (None, MEDIAN):
        return ""
    own = next((each.name for each in times("cpu") if each.quantile == metric.quantile), None)
    return "" if own is None else f", or a limit on `{own}`: the thread's CPU time, which neighbours sway far less"


def _more_seconds(device: str | None, factor: float, terms: Terms) -> str:
    """What would settle a comparison that only continuous integration makes: no command here does."""
    seconds = needed(device, factor, terms)
    if device is None or seconds is None:
        return "to tell them apart would take over an hour of measuring, so another limit is needed"
    return f"`seconds: {seconds}` for `{device}` in makeweight.yaml would narrow it enough"


def _short_of_examples(rule: Rule, measurement: Measurement, interval: tuple[float, float], statement: str) -> _Finding:
    value, n = measurement.value or 0.0, measurement.samples or 0
    room = rule.limit - value if rule.operator.upper else value - rule.limit
    half = interval[1] - value if rule.operator.upper else value - interval[0]
    needed = examples_needed(n, half, room)
    asked = f"{(rule.confidence or 0.0) * 100:.6g}% confidence is asked for"
    shown = limit_alone(rule)
    if needed is None:
        return _Finding("fail", f"{statement}, and {demand(rule)} ({asked}).")
    about = f"About {needed:,}" if needed < _MOST_EXAMPLES else "Over a billion"
    return _Finding(
        "inconclusive",
        f"{statement}: the limit, {shown}, lies within that interval, and {asked}. {about} examples "
        f"would show it at this rate; there are {n:,}.",
    )


def _unmeasured(rule: Rule, variant: str, device: str | None, measured: Measured, named: str, terms: Terms) -> _Finding:
    measurement = measured.get((variant, device, rule.measurand))
    reason, cause = _why(measurement)
    no_slice = (
        measurement is None
        and rule.slice is not None
        and _is_measured(measured.get((variant, None, Measurand(rule.metric.name))))
    )
    if no_slice:
        reason = "no test example belongs to it"
    elif measurement is not None and measurement.status == "estimated":
        reason = "it is only estimated, and an estimate never decides"
    outcome: Outcome = "not_applicable" if rule.when_unmeasured == "ignore" else "inconclusive"
    tail = {"fail": "the rule requires it", "warn": "the rule only warns", "ignore": "the rule lets that go"}
    statement = f"{named} is not measured: {reason}; {tail[rule.when_unmeasured]}."
    settle = None
    if no_slice or rule.operator.against == "merge base":
        pass
    elif measurement is None or cause == "stale":
        settle = again(variant, device)
    elif cause == "too_few_samples" and measurement.samples:
        settle = longer(variant, device, samples_needed(rule.metric.quantile or MEDIAN) / measurement.samples, terms)
    return _Finding(outcome, statement, settle if outcome == "inconclusive" else None, reason, cause)


def _why(measurement: Measurement | None) -> tuple[str, Cause | None]:
    """Why something was not measured, in words, and what could be done about it."""
    return ("no measurement was found", None) if measurement is None else (str(measurement.reason), measurement.cause)


def _interval(rule: Rule, measurement: Measurement) -> tuple[float, float] | None:
    """The interval at the rule's confidence."""
    interval = measurement.interval
    if interval is None or rule.confidence is None:
        return interval
    if rule.metric.counted and rule.operator.comparison is None and measurement.samples:
        share = min(max(measurement.value or 0.0, 0.0), 1.0)
        return wilson(round(share * measurement.samples), measurement.samples, rule.confidence)
    return at_confidence(interval, rule.confidence)


def _sound(variant: str, rule: str, outcome: Outcome, sentence: str) -> RuleVerdict:
    return RuleVerdict(rule, rule, "holds", variant, None, None, None, "always", None, None, outcome, "error", sentence)


def not_made(variant: str, reason: str) -> RuleVerdict:
    """A recipe that could not be carried out breaks the rule that there is a model."""
    return _sound(variant, RECIPE, "fail", f"`{variant}` could not be made: {reason}")


def outdated(variant: str, why: str) -> RuleVerdict:
    """What was decided of a variant is no longer known to hold."""
    return replace(_sound(variant, "fresh", "inconclusive", f"what was judged is stale: {why}."), settle="dvc repro")


def soundness(variant: str, measured: Measured) -> list[RuleVerdict]:
    """A model whose answers are not numbers never ships, whatever the budget says. Silent when all is well."""
    measurement = measured.get((variant, None, Measurand("nonfinite_outputs")))
    if measurement is None or measurement.value is None:
        reason, cause = _why(measurement)
        statement = f"whether `{variant}` answers in finite numbers is not known: {reason}."
        settle = again(variant, None) if measurement is None or cause == "stale" else None
        held = _sound(variant, "finite_outputs", "inconclusive", statement)
        return [replace(held, settle=settle, reason=reason, cause=cause)]
    if measurement.value > 0:
        statement = f"`{variant}` answers NaN or infinity for {measurement.detail}."
        return [_sound(variant, "finite_outputs", "fail", statement)]
    return []
