"""Rules as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from makeweight_monitors.rules import yamltext
from makeweight_monitors.rules.rule import Alert, Group, Recording, Rule


def render(groups: Iterable[Group], heading: Iterable[str], runbooks: str) -> str:
    """The text of a file of rules; `heading` becomes comments, `runbooks` the page that alerts point at."""
    return yamltext.document({"groups": [_group(group, runbooks) for group in groups]}, heading)


def runbook(runbooks: str, alert: str) -> str:
    """The address of an alert's section; headings become anchors in lower case."""
    return f"{runbooks}#{alert.lower()}" if not urlsplit(runbooks).fragment else runbooks


def labels_of(alert: Alert) -> dict[str, str]:
    """What an alert bears besides the labels of its series."""
    return {"severity": alert.level.severity, "kind": alert.level.kind, **alert.labels}


def _group(group: Group, runbooks: str) -> dict[str, Any]:
    interval = {} if group.interval is None else {"interval": group.interval}
    return {"name": group.name, **interval, "rules": [_rule(rule, runbooks) for rule in group.rules]}


def _rule(rule: Rule, runbooks: str) -> dict[str, Any]:
    if isinstance(rule, Recording):
        labels = {"labels": dict(rule.labels)} if rule.labels else {}
        return {"record": rule.record, "expr": rule.expression, **labels}
    return {
        "alert": rule.name,
        "expr": rule.expression,
        **({} if rule.hold == "0s" else {"for": rule.hold}),
        "labels": labels_of(rule),
        "annotations": {
            "summary": rule.summary,
            "description": rule.description,
            "runbook_url": runbook(runbooks, rule.name),
        },
    }
