"""How far the e-value is from a rollback, as all dashboards show it."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Panel

from makeweight_monitors.dashboards.look import BAD, GOOD, QUIET, WARN
from makeweight_monitors.dashboards.panel import Steps, value
from makeweight_monitors.dashboards.query import of_budget, of_revision
from makeweight_monitors.rules import names
from makeweight_monitors.rules.promql import equals

WAY = Steps(GOOD, ((0.5, WARN), (1.0, BAD)))
CERTIFIED = {0: ("not shown", QUIET), 1: ("safe", GOOD)}
LEAST_DRAWN, MOST_DRAWN = "0.001", "1e15"
"""The e-value of a healthy canary goes to zero, which no logarithmic axis has; that of a broken one has no end."""


def drawn(evalue: str) -> str:
    return f"clamp({evalue}, {LEAST_DRAWN}, {MOST_DRAWN})"


def line(test: str) -> str:
    """The e-value at which a test asks for a rollback."""
    return of_budget(names.ROLLBACK_LINE, equals("test", test))


def worst(title: str, description: str, evalue: str, test: str) -> Panel:
    """The way to rollback of the canary that is nearest to it."""
    way = f"max({way_to_rollback(of_revision(evalue), line(test))})"
    return value(title, description, "percentunit", way, steps=WAY, nothing="no labelled pair yet", decimals=0)


def way_to_rollback(evalue: str, line: str) -> str:
    """How much of the e-value that a rollback takes there is: 0 none, 1 all. E-values multiply, so by logarithms."""
    return f"clamp_min(\n  ln({evalue})\n  / on (model) group_left ()\n  max by (model) (ln({line})),\n  0\n)"
