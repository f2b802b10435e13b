"""Whose series are compared: the labels that the words of a rule's groupings stand for.

Rules are written by `model` and `revision`, as if there were one environment and one attempt. Here, in one place,
`model` comes to mean the model in its environment, and `revision` one attempt of it with one file: so that staging
never asks for production's rollback, and a repaired retry starts afresh. `rollout` is the attempt without the file,
which is what both arms of it have in common.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from makeweight_monitors.rules.rule import Alert, Comparison, Group, Rule

_GROUPING = re.compile(r"\b(by|on) \(([a-z_, ]*)\)")


def widened(group: Group, environment: Sequence[str]) -> Group:
    """The group with every grouping of its rules by all labels that are meant."""
    return replace(group, rules=tuple(_rule(rule, environment) for rule in group.rules))


def groupings(labels: Iterable[str]) -> tuple[str, str]:
    """The words of two groupings that stand for the labels of a metric: by process, and over all processes."""
    words = [label for label in labels if label not in ("environment", "attempt", "sha256")]
    return ", ".join(words), ", ".join(word for word in words if word != "boot")


def labels(words: Sequence[str], environment: Sequence[str]) -> list[str]:
    """The labels that words of a grouping stand for."""
    meant = {
        "model": [*environment, "model"],
        "revision": ["revision", "attempt", "sha256"],
        "rollout": ["revision", "attempt"],
    }
    return [label for word in words for label in meant.get(word, [word])]


def _rule(rule: Rule, environment: Sequence[str]) -> Rule:
    def grouped(expression: str) -> str:
        return _GROUPING.sub(
            lambda found: f"{found[1]} ({', '.join(labels(found[2].split(', '), environment))})", expression
        )

    if not isinstance(rule, Alert):
        return replace(rule, expression=grouped(rule.expression))
    where = "".join(f"{{{{ with $labels.{label} }}}}{{{{ . }}}}: {{{{ end }}}}" for label in environment)
    over = rule.condition
    condition = replace(over, value=grouped(over.value)) if isinstance(over, Comparison) else grouped(over)
    return replace(rule, condition=condition, summary=where + rule.summary)
