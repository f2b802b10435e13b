"""The controller that moves a model's traffic, and the servers that follow its pointer: what they know and do."""

from __future__ import annotations

from collections.abc import Iterator

from grafana_foundation_sdk.models.dashboard import Panel

from makeweight_monitors import metrics
from makeweight_monitors.dashboards.look import BAD, GOOD, QUIET, WARN
from makeweight_monitors.dashboards.panel import THIRD, WIDE, Column, lines, rows
from makeweight_monitors.dashboards.query import Query, at_its_address, of_model, rates
from makeweight_monitors.rules.promql import equals

LAST_LOOK = "Since the last look"
BLIND = "What the controller is blind to"
ACTIONS = "What the target was told"
STAGES = "Canaries by stage"
SENT = "Requests to the controller"
HELD = "Held by somebody"
BREAKERS = "Open breakers"
REFUSED = "What servers could not take over"
_STAGES = {
    1: ("observing", GOOD),
    2: ("rolling back", WARN),
    3: ("rolled back", QUIET),
    4: ("promoted", GOOD),
    5: ("failed", BAD),
}


def of_controller() -> Iterator[Panel]:
    yield lines(
        LAST_LOOK,
        "Seconds since a controller last looked at the canary, as it does every five. A line that rises: none does.",
        "s",
        Query(f"time() - max by (environment) ({of_model(metrics.CONTROLLER_LAST_LOOK.series)})", "{{environment}}"),
        size=THIRD,
    )
    yield lines(
        BLIND,
        "1 where nothing is known (prometheus, rules, observers), or nothing can be done (journal, target). What is "
        "done then is declared: hold, or rollback.",
        "short",
        Query(f"max by (why) ({of_model(metrics.CONTROLLER_BLIND.series)})", "{{why}}"),
        size=THIRD,
        most=1,
    )
    yield lines(
        HELD,
        "1 while somebody holds the canary where it is; what asks for a rollback still gets it.",
        "short",
        Query(f"max by (environment) ({of_model(metrics.CONTROLLER_HELD.series)})", "{{environment}}"),
        size=THIRD,
        most=1,
    )
    by = "max by (environment, revision, attempt, sha256)"
    ranked = "\nor\n".join(
        f"{number} * {of_model(metrics.CONTROLLER_STAGE.series, equals('stage', stage.replace(' ', '_')))}"
        for number, (stage, _) in _STAGES.items()
    )
    yield rows(
        STAGES,
        "Where each canary stands. Failed: its rollback was decided and is not in force; it is tried again.",
        Column("environment"),
        Column("revision"),
        Column("attempt", width=90),
        Column("stage", f"{by} (\n{ranked}\n)", words=_STAGES, width=130),
        Column("sha256"),
        size=WIDE,
        nothing="no canary yet",
    )
    what = "The target was told to set a share or that it is over (finalize), or was read back (verify)."
    yield _rates(ACTIONS, what, metrics.CONTROLLER_ACTIONS, "action", "outcome")
    what = "Alerts, orders and questions, by what became of them. `unknown`: about nothing here."
    yield _rates(SENT, what, metrics.CONTROLLER_REQUESTS, "endpoint", "outcome")
    what = "Looks at the canary, by what came of them. `standby`: another controller leads."
    yield _rates("Looks", what, metrics.CONTROLLER_LOOKS, "outcome")


def _rates(title: str, description: str, metric: metrics.Metric, *labels: str) -> Panel:
    return lines(title, description, "cps", rates(metric, *labels), size=THIRD, stacked=True)


def of_servers() -> Iterator[Panel]:
    yield lines(
        BREAKERS,
        "Processes that keep their requests from the canary, because of what they counted themselves, by revision.",
        "short",
        Query(f"sum by (revision) ({of_model(metrics.SERVING_BREAKER.series)})", "{{revision}}"),
        size=THIRD,
    )
    yield lines(
        "Epoch of the pointer",
        "That each process follows. One that stays behind does not see the file, or cannot take over what it names.",
        "short",
        Query(f"max by (boot) ({at_its_address(metrics.SERVING_EPOCH.series)})", "{{boot}}"),
        size=THIRD,
        least=None,
    )
    what = (
        "By reason: the pointer cannot be read, a model is not the one it names, or does not load. What served stays."
    )
    yield _rates(REFUSED, what, metrics.SERVING_REFUSED, "reason")
