"""What fires, as a state and as a list; on every dashboard, at the top."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Panel

from makeweight_monitors.dashboards.board import published
from makeweight_monitors.dashboards.look import BAD, GOOD, QUIET, WARN
from makeweight_monitors.dashboards.panel import NONE_IS_GOOD, Column, Size, Steps, rows, value
from makeweight_monitors.dashboards.query import of_alerts
from makeweight_monitors.rules.names import WATCHDOG
from makeweight_monitors.rules.promql import equals

_FIRING = 'alertstate="firing"'
_MEANT = 'severity!="none"'
"""All but the watchdog, which always fires."""
_STATES = {0: ("nothing fires", GOOD), 1: ("evidence", WARN), 2: ("alarm", BAD), 3: ("roll back", BAD)}
_KINDS = {"rollback": 3, "alarm": 2, "evidence": 1}


def state() -> Panel:
    """The worst kind of alert that fires; 0 only while the watchdog tells that rules are evaluated."""
    return value(
        "State",
        "The most urgent kind of alert that fires. `evidence` is to be weighed, `alarm` calls somebody, `roll back` "
        "may act alone. Where it says that rules are not evaluated, nothing is known: look at Prometheus first.",
        "none",
        "max(\n  " + "\n  or\n  ".join([*_by_kind(), f"0 * {_alive()}"]) + "\n)",
        words=_STATES,
        nothing="rules are not evaluated",
        steps=Steps(QUIET, ((0, GOOD), (1, WARN), (2, BAD))),
        filled=True,
    )


def counted(kind: str, title: str, description: str) -> Panel:
    """How many of a kind fire; likewise."""
    found = of_alerts(_FIRING, _MEANT, equals("kind", kind))
    return value(title, description, "short", f"count({found}) or 0 * max({_alive()})", steps=NONE_IS_GOOD)


def _alive() -> str:
    """The watchdog: while it fires, rules are evaluated."""
    return of_alerts(_FIRING, f'alertname="{WATCHDOG}"')


def alerts(runbooks: str) -> Panel:
    by = "alertname, model, variant, revision, slice, class, feature, quantile, window, instance"
    ranked = "\n    or\n    ".join(_by_kind())
    urgencies = {number: (kind, _STATES[number][1]) for kind, number in _KINDS.items()}
    link = ("What it means and what to do", runbooks) if published(runbooks) else None
    return rows(
        "Firing alerts",
        "Everything that fires in Prometheus, the most urgent first. An alert that is of no arm is of the comparison, "
        f"or of the model. What each means and what to do: {runbooks}, under its name.",
        Column("urgency", f"sort_desc(\n  max by ({by}) (\n    {ranked}\n  )\n)", words=urgencies, width=90),
        Column("alert", label="alertname", link=link, width=250),
        Column("model"),
        Column("revision"),
        Column("variant", width=80),
        Column("slice"),
        Column("class", width=70),
        Column("feature"),
        Column("quantile", width=80),
        Column("window", width=75),
        Column("instance"),
        size=Size(24, 6),
        nothing="nothing fires",
    )


def _by_kind() -> list[str]:
    """Each alert with the number of its kind."""
    return [f"{n} * {of_alerts(_FIRING, _MEANT, equals('kind', kind))}" for kind, n in _KINDS.items()]
