"""The words of a verdict: what is judged, how much it is, what is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from makeweight.budget.quantity import show_beside, show_interval, show_limit
from makeweight.measurement import Measurement

if TYPE_CHECKING:
    from makeweight.budget.rule import Rule


def subject(rule: Rule, device: str | None) -> str:
    where = f" on {device}" if device else f" of slice `{rule.slice}`" if rule.slice else ""
    return f"{_title(rule)}{where}"


def _title(rule: Rule) -> str:
    return rule.metric.falling if rule.metric.falling and rule.operator.comparison == "drop" else rule.metric.title


def amount(rule: Rule, measurement: Measurement, interval: tuple[float, float] | None) -> str:
    value = (measurement.value or 0.0) + 0.0
    spread = "" if interval is None else f" {show_interval(*interval, rule.dimension)}"
    figure = show_beside(value, rule.limit, rule.dimension) + spread
    verb = "are" if rule.metric.plural else "is"
    named = f" ({measurement.detail})" if measurement.detail else ""
    if rule.operator.comparison == "ratio":
        return f"{verb} {figure} of the baseline's{named}"
    if rule.operator.comparison == "drop":
        return f"drops {figure}{' (a gain)' if value < 0 else ''}{named}"
    if rule.operator.comparison == "regression":
        if value == 0 and interval in (None, (0, 0)):
            return f"{verb} what {'they were' if rule.metric.plural else 'it was'} at the merge base{named}"
        fell = " (it fell)" if value < 0 else ""
        return f"grew by {figure} against the merge base{fell}{named}"
    return f"{verb} {figure}{named}"


def demand(rule: Rule) -> str:
    """`at most 0.5 pt is allowed`, `at least 95 % is required`."""
    side, asked = ("most", "allowed") if rule.operator.upper else ("least", "required")
    return f"at {side} {limit_alone(rule)} is {asked}"


def limit_alone(rule: Rule) -> str:
    """`0.5 pt`."""
    return show_limit(rule.limit, rule.dimension)
