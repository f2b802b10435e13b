"""The watchers of one model watched: what is counted, what is refused, which labels come."""

from __future__ import annotations

from collections.abc import Iterator

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from makeweight_monitors.dashboards import exporters, firing
from makeweight_monitors.dashboards.board import Section, assembled, uid
from makeweight_monitors.dashboards.look import BAD, CANARY, GOOD, LIMIT, STABLE, WARN, Look
from makeweight_monitors.dashboards.marks import marks
from makeweight_monitors.dashboards.panel import (
    HALF,
    NONE_IS_GOOD,
    THIRD,
    WIDE,
    Column,
    Size,
    Steps,
    abreast,
    lines,
    rows,
    value,
)
from makeweight_monitors.dashboards.query import Query, of_model
from makeweight_monitors.dashboards.variables import of_project
from makeweight_monitors.metrics import (
    LABEL_EVENTS,
    LABEL_STORE_FAILURES,
    LABELS_EXPIRED,
    LABELS_PENDING,
    MOST_CLASSES,
    PREDICTED_CLASS,
    PREDICTIONS,
    REJECTED,
    UP,
)
from makeweight_monitors.rules import names
from makeweight_monitors.rules.health import LEAST_COVERAGE, MOST_REJECTED, MOST_UNMATCHED
from makeweight_monitors.rules.terms import Terms

KIND = "health"
REPLICAS = "Processes"
REFUSED = "Share that is refused"
COVERAGE = "Labels that come"
STRANGERS = "Labels for strangers"
STORE = "Label store"
CAPS = "Classes told apart"
PENDING = "Waiting for their label"
_RATE = "$__rate_interval"
_CANARY, _STABLE = 'variant="canary"', 'variant="stable"'


def build(terms: Terms) -> Dashboard:
    return assembled(
        uid(KIND, terms.model),
        f"Makeweight: {terms.model}, observers",
        f"Whether the figures about {terms.model} can be relied on: who counts, what is refused, which labels come.",
        [
            Section("", (*abreast(_state()), firing.alerts(terms.runbooks, Size(24, 6)))),
            Section("Who counts", tuple(_processes())),
            Section("What is refused", tuple(_refused())),
            Section("Which labels come", tuple(_labels())),
            Section("Limits of what is kept", tuple(_caps(terms)), collapsed=True),
            Section("Exporters, where there are any", tuple(exporters.panels()), collapsed=True),
        ],
        of_project(terms)[:1],
        marks(),
        runbooks=terms.runbooks,
        span="6h",
    )


def _state() -> Iterator[Panel]:
    size = Size(4, 4)
    yield firing.state(size)
    yield value(
        "Processes",
        "Processes that are being scraped, of both arms.",
        "short",
        Query(f"count(count by (boot) ({of_model(UP.series)}))"),
        size,
    )
    yield value(
        "Refused",
        "Share of the observations of five minutes that were refused, of the worse arm.",
        "percentunit",
        Query(f"max({of_model(names.REJECTED)})"),
        size,
        steps=Steps(GOOD, ((MOST_REJECTED, BAD),)),
        decimals=2,
        nothing="no traffic",
    )
    yield value(
        "Labels that come",
        "Of the predictions that waited for a label, the share that got it in time, over six hours, of the worse arm.",
        "percentunit",
        Query(f"min({of_model(names.COVERAGE)})"),
        size,
        steps=Steps(BAD, ((LEAST_COVERAGE, WARN), (0.9, GOOD))),
        decimals=0,
        nothing="no label yet",
    )
    yield value(
        "Waiting for a label",
        "Predictions in the stores of all processes.",
        "short",
        Query(f"sum({of_model(LABELS_PENDING.series)})"),
        size,
        nothing="no label store",
    )
    yield value(
        "Failures of the store",
        "Times in the last hour that a label store could not be written or read.",
        "short",
        Query(f"sum(increase({of_model(LABEL_STORE_FAILURES.series)}[1h]))"),
        size,
        steps=NONE_IS_GOOD,
        decimals=0,
    )


def _processes() -> Iterator[Panel]:
    own = of_model(UP.series)
    yield lines(
        REPLICAS,
        "Processes that are being scraped, by arm. One that cannot be scraped falls out, and what it does is not seen.",
        "short",
        both_of(names.REPLICAS),
        THIRD,
        least=0,
    )
    yield lines(
        "Requests by process",
        "Predictions of each process. One that stands apart gets other requests, or does otherwise.",
        "reqps",
        [
            Query(f"sum by (boot) (rate({of_model(PREDICTIONS.series, _STABLE)}[{_RATE}]))", "stable {{boot}}", STABLE),
            Query(f"sum by (boot) (rate({of_model(PREDICTIONS.series, _CANARY)}[{_RATE}]))", "canary {{boot}}", CANARY),
        ],
        THIRD,
        least=0,
    )
    yield lines(
        "Time of a scrape",
        "How long Prometheus takes to fetch the counters of each process.",
        "s",
        [Query(f"max by (job, instance) (\n  scrape_duration_seconds and on (job, instance) {own}\n)", "{{instance}}")],
        THIRD,
        least=0,
    )
    by = "job, instance, variant, revision, boot"
    known = f"last_over_time({own}[1h])"
    yield rows(
        "Targets",
        "What Prometheus scrapes for this model. Down: the last scrape failed.",
        [
            Query(f"max by ({by}) ({known}) * 1000"),
            Query(f"max by ({by}) ({known} ^ 0 * on (job, instance) group_left () up)"),
            Query(f"max by ({by}) ({known} ^ 0 * on (job, instance) group_left () scrape_samples_scraped)"),
        ],
        [
            Column("job", "job"),
            Column("instance", "instance"),
            Column("Value #B", "state", words={0: ("down", BAD), 1: ("up", GOOD)}, width=80),
            Column("variant", "variant", width=90),
            Column("revision", "revision"),
            Column("boot", "boot"),
            Column("Value #A", "counting since", "dateTimeFromNow"),
            Column("Value #C", "series", "short", width=90),
        ],
        WIDE,
    )


def _refused() -> Iterator[Panel]:
    yield lines(
        REFUSED,
        "Observations that were refused, of all: what is refused is not judged.",
        "percentunit",
        [*both_of(names.REJECTED), Query(f"vector({MOST_REJECTED})", "alert", LIMIT)],
        least=0,
    )
    yield lines(
        "Refused by reason",
        "What each reason means: docs/monitors/observing.md.",
        "cps",
        [Query(f"sum by (reason) (rate({of_model(REJECTED.series)}[{_RATE}]))", "{{reason}}")],
        least=0,
        stacked=True,
    )


def _labels() -> Iterator[Panel]:
    yield lines(
        COVERAGE,
        "Of the predictions that waited for a label, the share that got it in time, over six hours. Where labels come "
        "for some kinds of requests only, accuracy is that of those kinds.",
        "percentunit",
        [*both_of(names.COVERAGE), Query(f"vector({LEAST_COVERAGE})", "alert below", LIMIT)],
        THIRD,
        least=0,
        most=1,
    )
    yield lines(
        "Labels by what became of them",
        "matched: it counts; unknown: no such id here; duplicate: it had its label; late: after the time-out; "
        "rejected: it cannot be read.",
        "cps",
        [Query(f"sum by (result) (rate({of_model(LABEL_EVENTS.series)}[{_RATE}]))", "{{result}}")],
        THIRD,
        least=0,
        stacked=True,
    )
    yield lines(
        STRANGERS,
        "Of the labels that came, the share that found no prediction (unknown or late), over six hours.",
        "percentunit",
        [*both_of(names.UNMATCHED), Query(f"vector({MOST_UNMATCHED})", "alert", LIMIT)],
        THIRD,
        least=0,
    )
    yield lines(
        PENDING,
        "Predictions that wait. A line that only rises is of labels that do not come.",
        "short",
        [
            Query(f"sum({of_model(LABELS_PENDING.series, _STABLE)})", "stable", STABLE),
            Query(f"sum({of_model(LABELS_PENDING.series, _CANARY)})", "canary", CANARY),
        ],
        HALF,
        least=0,
    )
    yield lines(
        "Given up waiting",
        "Predictions whose label did not come in time.",
        "cps",
        [
            Query(f"sum(rate({of_model(LABELS_EXPIRED.series, _STABLE)}[{_RATE}]))", "stable", STABLE),
            Query(f"sum(rate({of_model(LABELS_EXPIRED.series, _CANARY)}[{_RATE}]))", "canary", CANARY),
        ],
        HALF,
        least=0,
    )


def _caps(terms: Terms) -> Iterator[Panel]:
    yield lines(
        STORE,
        "Times that a label store could not be written or read, by process; what waits stays in memory while it fits.",
        "cps",
        [Query(f"sum by (boot) (rate({of_model(LABEL_STORE_FAILURES.series)}[{_RATE}]))", "{{boot}}")],
        HALF,
        least=0,
    )
    if terms.classification:
        every = of_model(PREDICTED_CLASS.series)
        others = of_model(PREDICTED_CLASS.series, 'class="other"')
        # classes that were declared leave no room for others: then none are counted
        counted = f"sum(rate({others}[{_RATE}])) or count({every}) * 0"
        yield lines(
            CAPS,
            f"Beyond {MOST_CLASSES} names of classes all others count as `other`: ids or free text given as class?",
            "short",
            [
                Query(f"count(count by (class) ({every}))", "names of classes", Look("purple")),
                Query(counted, "predictions of `other` a second", Look(BAD)),
            ],
            HALF,
            least=0,
        )
    yield lines(
        "Series by process",
        "How many series each scrape brings; Prometheus drops a scrape whole that is over its `sample_limit`.",
        "short",
        [
            Query(
                f"max by (job, instance) (\n  scrape_samples_scraped and on (job, instance) {of_model(UP.series)}\n)",
                "{{instance}}",
            )
        ],
        HALF,
        least=0,
    )


def both_of(series: str) -> list[Query]:
    """Both arms; this dashboard has no choice of a revision."""
    return [
        Query(of_model(series, _STABLE), "stable", STABLE),
        Query(of_model(series, _CANARY), "canary {{revision}}", CANARY),
    ]
