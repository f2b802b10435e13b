"""Failed answers, first on every dashboard: no label is needed to see them."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Panel

from makeweight_monitors.dashboards.look import BAD, CANARY, GOOD, STABLE, WARN
from makeweight_monitors.dashboards.panel import Steps, lines, value
from makeweight_monitors.dashboards.query import RATE, Query, of_model
from makeweight_monitors.metrics import FAILED
from makeweight_monitors.rules import names, promql

TITLE = "Failed answers"
_WHAT = "NaN, an exception, a time-out, a status of 5xx, or a call of a shadowed canary that was lost"


def state() -> Panel:
    """The canary's, as one number."""
    return value(
        TITLE,
        f"Share of the canary's requests in five minutes whose answer failed: {_WHAT}. Each counts as a wrong answer.",
        "percentunit",
        f"max({of_model(names.FAILED, promql.CANARY)})",
        steps=Steps(GOOD, ((1e-9, WARN), (0.01, BAD))),
        nothing="no traffic",
        decimals=2,
    )


def over_time() -> Panel:
    arms = ((promql.STABLE, "stable", STABLE), (promql.CANARY, "canary {{revision}}", CANARY))
    return lines(
        f"{TITLE} of both arms",
        f"Share of the requests in five minutes whose answer failed: {_WHAT}.",
        "percentunit",
        *(Query(of_model(names.FAILED, arm), legend, look) for arm, legend, look in arms),
    )


def by_reason() -> Panel:
    rates = f"sum by (variant, reason) (rate({of_model(FAILED.series)}[{RATE}]))"
    what = "What each reason means: docs/monitors/observing.md."
    return lines(f"{TITLE} by reason", what, "cps", Query(rates, "{{variant}}: {{reason}}"), stacked=True)
