"""From terms to all groups of rules, in the order in which they are read. Pure."""

from __future__ import annotations

from collections.abc import Collection

from makeweight_monitors.rules import (
    accuracy,
    burn,
    confidence,
    controller,
    failures,
    health,
    identity,
    latency,
    limits,
    poison,
    rollback,
    serving,
    share,
    steps,
    totals,
)
from makeweight_monitors.rules.dependencies import reached, words
from makeweight_monitors.rules.rule import Alert, Group, Recording
from makeweight_monitors.rules.terms import Terms

_WATCHES = (limits, totals, failures, rollback, accuracy, confidence, latency, burn, share, health, controller, serving)


def groups(terms: Terms) -> tuple[Group, ...]:
    written = [group for watch in _WATCHES for group in watch.groups(terms)]
    read = {word for group in written for rule in group.rules for word in words(rule.expression)}
    written = [*steps.groups(terms, read), *written, *totals.ended(terms, read), *poison.groups(terms, read)]
    return tuple(identity.widened(group, terms.environment) for group in written)


def alerts(groups: tuple[Group, ...]) -> list[Alert]:
    return [rule for group in groups for rule in group.rules if isinstance(rule, Alert)]


def read_by(about: Collection[str], groups: tuple[Group, ...]) -> set[str]:
    """All words that the alerts of these names read, directly or through recordings."""
    recorded: dict[str, list[str]] = {}
    for group in groups:
        for rule in group.rules:
            if isinstance(rule, Recording):
                recorded.setdefault(rule.record, []).append(rule.expression)
    return reached((alert.expression for alert in alerts(groups) if alert.name in about), recorded)


def heading(terms: Terms, version: str) -> list[str]:
    """What stands above the rules."""
    asks = ", ".join(f"{test} over {terms.line(test):g}" for test in terms.families())
    return [
        f"Rules for {terms.model}, written by makeweight-monitors {version} from makeweight.yaml and the measured",
        "reference. Do not edit: change the budget and generate them again.",
        "",
        f"E-values that ask for a rollback: {asks}; false ones with probability at most {terms.alpha:g} in all."
        if asks
        else "Nothing here asks for a rollback: the budget tolerates no stated drop in accuracy.",
    ]
