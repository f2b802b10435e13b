"""The alerts of the rules as Grafana manages them, for those who run no Alertmanager.

The recorded series, and `ALERTS`, still come from Prometheus, which needs the same rules; what is left to Grafana is
to compare, to wait and to tell somebody. Format: grafana.com/docs, "Use configuration files to provision alerting
resources". In labels and titles Grafana puts variables of the environment in place of `$NAME`, in annotations not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from makeweight_monitors import durations
from makeweight_monitors.rules import names
from makeweight_monitors.rules.promql import equals, number, selector
from makeweight_monitors.rules.rule import Alert, Group
from makeweight_monitors.rules.terms import Terms
from makeweight_monitors.rules.text import labels_of, runbook

BASE_SECONDS = 10
"""Grafana evaluates at multiples of this."""
SECONDS = 60
"""Of a group that says nothing: as Prometheus is configured by default."""
EXPRESSION = "__expr__"


@dataclass(frozen=True)
class Asked:
    """What is asked, and when its answer makes an alert."""

    expression: str
    evaluator: str
    """`gt` or `lt`."""
    line: float


@dataclass(frozen=True)
class Panel:
    """Where an alert is to be seen."""

    dashboard: str
    number: int


def content(terms: Terms, groups: tuple[Group, ...], datasource: str, panels: Mapping[str, Panel]) -> dict[str, Any]:
    """The file as plain data; `panels`, by the name of the alert."""
    provisioned = [
        {
            "orgId": 1,
            "name": group.name,
            "folder": _literal(f"Makeweight {terms.model.replace('/', '-')}"),
            "interval": f"{_interval(group)}s",
            "rules": [_rule(terms, alert, datasource, panels.get(alert.name)) for alert in alerts],
        }
        for group in groups
        if (alerts := [rule for rule in group.rules if isinstance(rule, Alert)])
    ]
    return {"apiVersion": 1, "groups": provisioned}


def asked(alert: Alert, model: str) -> Asked:
    """An alert of Prometheus as a value and a line that it is compared with.

    Where it is one comparison with a number, the value is asked for by itself, so that Grafana can show it while
    nothing fires. What has several conditions is asked whole: it answers with what is over its line, and that is
    above zero.
    """
    if alert.name == names.WATCHDOG:
        # a heartbeat of the whole chain: it ends when Prometheus no longer evaluates the rules
        chosen = selector("ALERTS", equals("model", model), equals("alertname", alert.name))
        return Asked(chosen, "gt", 0)
    condition = alert.condition
    if isinstance(condition, str):
        return Asked(condition, "gt", 0)
    line = float(number(condition.line))
    if condition.operator == "==":
        return Asked(f"{condition.value} == bool {number(line)}", "gt", 0)
    evaluator = "gt" if condition.operator == ">" else "lt"
    return Asked(condition.value, evaluator, int(line) if line.is_integer() else line)


def _interval(group: Group) -> int:
    """Seconds, rounded up to what Grafana can keep."""
    seconds = SECONDS if group.interval is None else int(durations.seconds(group.interval))
    return -(-seconds // BASE_SECONDS) * BASE_SECONDS


def _rule(terms: Terms, alert: Alert, datasource: str, panel: Panel | None) -> dict[str, Any]:
    own = {key: value for key, value in alert.labels.items() if key in ("window", "quantile", "slice")}
    title = " ".join((alert.name, *(value for _, value in sorted(own.items()))))
    question = asked(alert, terms.model)
    annotations = {
        "summary": _template(alert.summary),
        "description": _template(alert.description),
        "runbook_url": runbook(terms.runbooks, alert.name),
    }
    rule: dict[str, Any] = {
        "uid": _uid(terms.model, alert, own),
        "title": _literal(title),
        "condition": "C",
        "data": [_query(question, datasource), _threshold(question)],
    }
    if panel is not None:
        rule |= {"dashboardUid": panel.dashboard, "panelId": panel.number}
        annotations |= {"__dashboardUid__": panel.dashboard, "__panelId__": str(panel.number)}
    return rule | {
        # nothing to compare is no alert: that figures are missing has alerts of its own
        "noDataState": "OK",
        "execErrState": "Error",
        "for": alert.hold,
        "annotations": annotations,
        "labels": {key: _literal(value) for key, value in labels_of(alert).items()},
        "isPaused": False,
    }


def _query(question: Asked, datasource: str) -> dict[str, Any]:
    asked = {"editorMode": "code", "expr": question.expression, "instant": True, "range": False}
    return _step("A", "prometheus", datasource, asked)


def _threshold(question: Asked) -> dict[str, Any]:
    condition = {
        "evaluator": {"params": [question.line], "type": question.evaluator},
        "operator": {"type": "and"},
        "query": {"params": ["C"]},
        "reducer": {"params": [], "type": "last"},
        "type": "query",
    }
    return _step("C", EXPRESSION, EXPRESSION, {"conditions": [condition], "expression": "A", "type": "threshold"})


def _step(ref: str, kind: str, uid: str, own: dict[str, Any]) -> dict[str, Any]:
    source = {"datasource": {"type": kind, "uid": uid}, "intervalMs": 1000, "maxDataPoints": 43200, "refId": ref}
    model = dict(sorted((source | own).items()))
    return {"refId": ref, "relativeTimeRange": {"from": 600, "to": 0}, "datasourceUid": uid, "model": model}


def _uid(model: str, alert: Alert, own: Mapping[str, str]) -> str:
    """At most 40 characters, the same for as long as the alert is what it is called."""
    identity = "\0".join((model, alert.name, *(f"{key}={value}" for key, value in sorted(own.items()))))
    return f"mw-{hashlib.sha256(identity.encode()).hexdigest()[:24]}"


def _template(text: str) -> str:
    """Prometheus's `$value` is a number, Grafana's a description of all values; the number is that of the query."""
    return text.replace("$value", "$values.A.Value")


def _literal(text: str) -> str:
    return text.replace("$", "$$")
