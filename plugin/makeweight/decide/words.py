"""The words of a verdict: what is judged, how much it is, what is allowed."""

from __future__ import annotations

from makeweight.budget.quantity import parts, show, show_limit
from makeweight.budget.rule import Rule
from makeweight.measurement import Measurement


def subject(rule: Rule, device: str | None) -> str:
    where = f" on {device}" if device else f" of slice `{rule.slice}`" if rule.slice else ""
    return f"{rule.metric.title}{where}"


def amount(rule: Rule, measurement: Measurement, interval: tuple[float, float] | None) -> str:
    value = measurement.value or 0.0
    spread = f" [{_bare(interval[0], rule)}, {_bare(interval[1], rule)}]" if interval is not None else ""
    verb = "are" if rule.metric.plural else "is"
    named = f" ({measurement.detail})" if measurement.detail else ""
    if rule.operator.comparison == "ratio":
        return f"{verb} {_figure(value, rule)}{spread} of the baseline's{named}"
    if rule.operator.comparison == "drop":
        moved = "drops" if value >= 0 else "gains"
        return f"{moved} {_figure(abs(value), rule)}{_turned(value, interval, rule)}{named}"
    if rule.operator.comparison == "regression":
        if value == 0 and interval in (None, (0, 0)):
            return f"{verb} what {'they were' if rule.metric.plural else 'it was'} at the merge base{named}"
        moved = "grew" if value >= 0 else "fell"
        return f"{moved} by {_figure(abs(value), rule)}{_turned(value, interval, rule)} against the merge base{named}"
    return f"{verb} {_figure(value, rule)}{spread}{named}"


def _figure(value: float, rule: Rule) -> str:
    """A figure with its unit, and more digits where few would make it look like the limit that it is not."""
    shown = show(value, rule.dimension)
    alike = value != rule.limit and shown == show(rule.limit, rule.dimension)
    return show_limit(value, rule.dimension) if alike else shown


def _turned(value: float, interval: tuple[float, float] | None, rule: Rule) -> str:
    """The interval of what is told without its sign."""
    if interval is None:
        return ""
    low, high = interval if value >= 0 else (-interval[1], -interval[0])
    return f" [{_bare(low, rule)}, {_bare(high, rule)}]"


def _bare(value: float, rule: Rule) -> str:
    """A figure without its unit, for the ends of an interval."""
    if value == 0:
        return "0"
    return show(value, rule.dimension) if rule.operator.comparison is None else parts(value, rule.dimension)[0]


def demand(rule: Rule) -> str:
    """`at most 0.5 pt is allowed`, `at least 95 % is required`."""
    side, asked = ("most", "allowed") if rule.operator.upper else ("least", "required")
    return f"at {side} {limit_alone(rule)} is {asked}"


def limit_alone(rule: Rule) -> str:
    """`0.5 pt`."""
    return show_limit(rule.limit, rule.dimension)
