"""A file of rules as Prometheus reads it, put into the order in which its rules depend on each other."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makeweight_base.errors import UsageError, reason
from makeweight_monitors import durations
from makeweight_monitors.rules.dependencies import chooses_by_pattern, words


@dataclass(frozen=True)
class Loaded:
    """One rule."""

    name: str
    """What it records, or the alert."""
    expression: str
    alert: bool
    hold: float
    """Seconds that it has to be true before it fires."""
    keep: float
    """Seconds that it goes on firing when it is true no more."""
    labels: Mapping[str, str]


def read(path: Path) -> list[Loaded]:
    """The rules of a file, in its order.

    Raises:
        UsageError: it is no file of rules.
    """
    import yaml

    # a file has thousands of lines, for which the parser in C takes less time
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), loader)  # noqa: S506 - both are safe
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"cannot be read: {reason(error)}", where=str(path)) from error
    try:
        rules = [_rule(rule) for group in content["groups"] for rule in group["rules"]]
    except (KeyError, TypeError, ValueError, argparse.ArgumentTypeError) as error:
        why = f"`{error.args[0]}` is missing" if isinstance(error, KeyError) else str(error)
        raise UsageError(
            f"this is no file of rules: {why}", where=str(path), do="`promtool check rules` says more."
        ) from error
    if not any(rule.alert for rule in rules):
        raise UsageError("there is no alert in it, so nothing could fire", where=str(path))
    for rule in rules:
        if chooses_by_pattern(rule.expression):
            raise UsageError(
                f"`{rule.name}` chooses series by a matcher on `__name__`: which it needs cannot be told",
                where=str(path),
                do="Write the names out.",
            )
    return rules


def _rule(content: Any) -> Loaded:
    alert = "alert" in content
    labels = content.get("labels") or {}
    return Loaded(
        name=str(content["alert"] if alert else content["record"]),
        expression=str(content["expr"]),
        alert=alert,
        hold=_seconds(content.get("for")),
        keep=_seconds(content.get("keep_firing_for")),
        labels={str(key): str(value) for key, value in labels.items()},
    )


def _seconds(text: object) -> float:
    return 0.0 if text in (None, 0, "0", "0s") else durations.seconds(str(text))


def layers(rules: list[Loaded]) -> list[list[Loaded]]:
    """The recording rules, in layers: each reads only what is recorded in those before it, or raw series.

    Raises:
        UsageError: rules that depend on each other in a circle.
    """
    left = [rule for rule in rules if not rule.alert]
    ordered = []
    while left:
        open_names = {rule.name for rule in left}
        ready = [rule for rule in left if not words(rule.expression) & open_names]
        if not ready:
            raise UsageError(f"rules depend on each other in a circle: {', '.join(sorted(open_names))}")
        # of rules that record the same name, none is read before all are recorded
        ordered.append(ready)
        left = [rule for rule in left if rule not in ready]
    return ordered


def raw(rules: list[Loaded]) -> set[str]:
    """Everything that may be the name of a series which is not recorded here."""
    recorded = {rule.name for rule in rules if not rule.alert}
    return {word for rule in rules for word in words(rule.expression)} - recorded
