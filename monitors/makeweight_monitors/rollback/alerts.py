"""Alerts as they are sent: Alertmanager's webhook (version 4), and what Prometheus itself posts to `/api/v2/alerts`.

Nothing of them decides: an alert that asks for a rollback of what is declared is a reason to ask Prometheus. Labels are
compared, and used for nothing else. Sources: prometheus.io/docs/alerting/latest/configuration (webhook_config), and
Alertmanager's api/v2/openapi.yaml.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST = 10_000
"""Alerts in one body."""


class Unreadable(Exception):
    """A body that is no JSON."""


class NoAlerts(Exception):
    """JSON that is not what it should be; the message says what is wrong."""


@dataclass(frozen=True)
class Sent:
    """One alert."""

    labels: Mapping[str, str]
    resolved: bool = False


@dataclass(frozen=True)
class Declared:
    """Whose alerts are meant."""

    model: str
    scope: Mapping[str, str]
    """The labels that tell environments apart, as alerts of this one bear them; empty: such alerts bear none but what
    their Prometheus itself adds as it sends them (`external_labels`).
    """

    def refused(self, alert: Sent) -> str:
        """Why an alert is no reason to look; empty: it is one."""
        if alert.labels.get("kind") != "rollback":
            return "asks for no rollback"
        if alert.labels.get("model") != self.model:
            return "of a model that is not declared here"
        if any(value and alert.labels.get(label, "") != value for label, value in self.scope.items()):
            return "of another environment"
        if not alert.labels.get("sha256"):
            return "names no file (`sha256`): give the observer its manifest"
        return "is over: that never undoes anything" if alert.resolved else ""


def of_webhook(body: bytes) -> list[Sent]:
    """From Alertmanager.

    Raises:
        Unreadable, NoAlerts.
    """
    data = _json(body)
    if not isinstance(data, dict) or data.get("version") != "4":
        raise NoAlerts("this is no webhook of Alertmanager's, version 4")
    return [_sent(one, one.get("status") if isinstance(one, dict) else None) for one in _listed(data.get("alerts"))]


def of_prometheus(body: bytes) -> list[Sent]:
    """From Prometheus; one that ended is sent with the time at which it did, in the past.

    Raises:
        Unreadable, NoAlerts.
    """
    return [_sent(one, "firing") for one in _listed(_json(body))]


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Unreadable("the body is no JSON") from error


def _listed(alerts: Any) -> list[Any]:
    if not isinstance(alerts, list) or len(alerts) > MOST:
        raise NoAlerts(f"a list of at most {MOST} alerts is wanted")
    return alerts


def _sent(alert: Any, status: Any) -> Sent:
    labels = alert.get("labels") if isinstance(alert, dict) else None
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise NoAlerts("each alert has `labels`, all of them texts")
    if status not in ("firing", "resolved"):
        raise NoAlerts("each alert is `firing` or `resolved`")
    return Sent(labels, status == "resolved")
