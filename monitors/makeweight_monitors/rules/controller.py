"""The controller watched: that it looks, sees and can act, and that what it did took effect."""

from __future__ import annotations

from collections.abc import Iterator

from makeweight_monitors import metrics
from makeweight_monitors.rules import names
from makeweight_monitors.rules.promql import CANARY, MEMORY, block, carried, equals
from makeweight_monitors.rules.rule import ALARM, EVIDENCE, Alert, Comparison, Group, Recording
from makeweight_monitors.rules.terms import Terms
from makeweight_monitors.rules.totals import SERVED

LATEST = 60
"""Seconds after which a controller that has not looked is gone; it looks every five."""
_TRIAL = "environment, attempt, sha256"
"""By these the controller tells canaries apart. The environment is what both it and the servers were told: what
Prometheus adds to its targets, such as a namespace, may differ."""


def groups(terms: Terms) -> Iterator[Group]:
    """Nothing where no target is declared: then there is no controller to be missed."""
    if terms.controlled:
        yield Group("makeweight-controller", (_over(terms), *_alerts(terms)))


def _over(terms: Terms) -> Recording:
    """The trials that had ended when a controller was last heard, for as long as their canary is there."""
    ended = terms.of(metrics.CONTROLLER_STAGE.series, 'stage=~"rolled_back|promoted"')
    there = _canaries(f"last_over_time({terms.of(metrics.UP.series, CANARY)}[{SERVED}])")
    kept = carried(ended, terms.of(names.TRIAL_OVER))
    return Recording(names.TRIAL_OVER, f"({kept})\nand on ({_TRIAL}) {there}")


def _canaries(up: str) -> str:
    """Of processes, with the first attempt as the controller has it: without a number."""
    return f'label_replace({up}, "attempt", "", "attempt", "0")'


def _alerts(terms: Terms) -> Iterator[Alert]:
    last = metrics.CONTROLLER_LAST_LOOK.series
    canaries = _canaries(terms.of(metrics.UP.series, CANARY))
    over = terms.of(names.TRIAL_OVER)
    on_trial = f"({canaries} unless on ({_TRIAL}) {over})"
    # beside a controller that Prometheus tells apart, those of its own place: the file may be promoted at another
    own = ", ".join((*terms.environment, "attempt", "sha256"))
    on_its_trial = f"({canaries} unless on ({own}) {over})"

    def looks(*matchers: str) -> str:
        return f"(time() - last_over_time({terms.of(last, *matchers)}[2m]) <= {LATEST})"

    yield Alert(
        names.CONTROLLER_GONE,
        # one that ended and has nothing left to watch was taken down; one that was told no environment is for all of
        # them, but where Prometheus tells it apart, as by namespaces, it does not hide that another's has ended
        block(f"""
            max by (model) (
              {on_trial}
              unless on (environment) {looks()}
              unless on () {looks(equals("environment", ""))}
            )
            or
            time() - max by (model) (last_over_time({terms.of(last)}[{MEMORY}])) > {LATEST}
            and on (model) {on_its_trial}
            """),
        ALARM,
        hold="1m",
        summary="{{ $labels.model }}: no controller looks at its canary",
        description="It is not scraped, has ended, or hangs. A bad canary keeps its traffic, but for what the breakers "
        "in the servers take from it.",
    )
    yield Alert(
        names.CONTROLLER_BLIND,
        Comparison(f"max by (model, why) ({terms.of(metrics.CONTROLLER_BLIND.series)})", ">", 0),
        ALARM,
        hold="2m",
        summary="{{ $labels.model }}: the controller knows nothing, or can do nothing ({{ $labels.why }})",
        description="No canary goes further. What else is done where nothing is known is declared: hold, or rollback.",
    )
    failed = terms.of(metrics.CONTROLLER_STAGE.series, 'stage="failed"')
    yield Alert(
        names.ROLLBACK_FAILED,
        Comparison(f"max by (model, revision) ({failed})", ">", 0),
        ALARM,
        summary="{{ $labels.model }} {{ $labels.revision }}: its rollback was decided, and is not in force",
        description="The target refused, says something else than it was told, or the canary goes on to answer. It is "
        "tried again; meanwhile users may meet the bad canary.",
    )
    for name, action, what in (
        (names.TARGET_REFUSES, 'action!="verify"', "the target does not take what it is told"),
        (names.READ_BACK_DISAGREES, 'action="verify"', "the target says another share than it was told"),
    ):
        times = terms.lately(metrics.CONTROLLER_ACTIONS.series, "model, action", 'outcome="failed"', action)
        yield Alert(
            name,
            Comparison(times, ">", 0),
            ALARM,
            summary=f"{{{{ $labels.model }}}}: {what}",
            description="{{ $value | humanize }} times in fifteen minutes ({{ $labels.action }}). The audit log has "
            "what it said. It is tried again.",
        )
    yield Alert(
        names.CONTROLLER_HELD,
        Comparison(f"max by (model) ({terms.of(metrics.CONTROLLER_HELD.series)})", ">", 0),
        EVIDENCE,
        hold="1h",
        summary="{{ $labels.model }}: somebody has held its canary for an hour",
        description="No canary goes further until `resume`; what asks for a rollback still gets it.",
    )
    unknown = ('endpoint="alertmanager"', 'outcome="unknown"')
    yield Alert(
        names.ALERTS_UNKNOWN,
        Comparison(terms.lately(metrics.CONTROLLER_REQUESTS.series, "model", *unknown), ">", 0),
        EVIDENCE,
        summary="{{ $labels.model }}: its controller is sent alerts that are not about it",
        description="{{ $value | humanize }} times in fifteen minutes Alertmanager sent nothing that this controller "
        "may act on: of another model, environment or kind, without a file, or of one that never was on trial.",
    )
