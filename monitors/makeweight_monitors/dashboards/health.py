"""The watchers of one model watched: what is counted, what is refused, which labels come."""

from __future__ import annotations

from collections.abc import Iterator

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from makeweight_monitors.dashboards import exporters, firing
from makeweight_monitors.dashboards.board import Section
from makeweight_monitors.dashboards.look import BAD, CANARY, GOOD, LIMIT, STABLE, WARN, Look
from makeweight_monitors.dashboards.panel import (
    NONE_IS_GOOD,
    THIRD,
    WIDE,
    Column,
    Steps,
    abreast,
    lines,
    rows,
    value,
)
from makeweight_monitors.dashboards.project import of_project
from makeweight_monitors.dashboards.query import RATE, Query, of_model
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
    Metric,
)
from makeweight_monitors.rules import names, promql
from makeweight_monitors.rules.health import LEAST_COVERAGE, MOST_REJECTED, MOST_UNMATCHED
from makeweight_monitors.rules.terms import Terms

REPLICAS = "Processes"
REFUSED = "Share that is refused"
COVERAGE = "Labels that come"
STRANGERS = "Labels for strangers"
STORE = "Label store"
CAPS = "Classes told apart"


def build(terms: Terms) -> Dashboard:
    question = (
        f"Whether the figures about {terms.model} can be relied on: who counts, what is refused, which labels come."
    )
    sections = [
        Section("", (*abreast(_state()), firing.alerts(terms.runbooks))),
        Section("Who counts", tuple(_processes())),
        Section("What is refused", tuple(_refused())),
        Section("Which labels come", tuple(_labels())),
        Section("Limits of what is kept", tuple(_caps(terms)), collapsed=True),
        Section("Exporters, where there are any", tuple(exporters.panels()), collapsed=True),
    ]
    return of_project(terms, "health", "observers", question, sections, span="6h", revision=False)


def _recorded(series: str) -> list[Query]:
    """Both arms of a recorded series; this dashboard has no choice of a revision."""
    return [
        Query(of_model(series, promql.STABLE), "stable", STABLE),
        Query(of_model(series, promql.CANARY), "canary {{revision}}", CANARY),
    ]


def _arms(metric: Metric, around: str, more: str = "") -> list[Query]:
    """Both arms of a metric, put in the place of `{}`."""
    return [
        Query(around.format(of_model(metric.series, promql.STABLE)), f"stable{more}", STABLE),
        Query(around.format(of_model(metric.series, promql.CANARY)), f"canary{more}", CANARY),
    ]


def _rates(metric: Metric, label: str) -> Query:
    return Query(f"sum by ({label}) (rate({of_model(metric.series)}[{RATE}]))", f"{{{{{label}}}}}")


def _state() -> Iterator[Panel]:
    yield firing.state()
    yield value(
        "Processes",
        "Processes that are being scraped, of both arms.",
        "short",
        f"count(count by (boot) ({of_model(UP.series)}))",
    )
    yield value(
        "Refused",
        "Share of the observations of five minutes that were refused, of the worse arm.",
        "percentunit",
        f"max({of_model(names.REJECTED)})",
        steps=Steps(GOOD, ((MOST_REJECTED, BAD),)),
        decimals=2,
        nothing="no traffic",
    )
    yield value(
        "Labels that come",
        "Of the predictions that waited for a label, the share that got it in time, over six hours, of the worse arm.",
        "percentunit",
        f"min({of_model(names.COVERAGE)})",
        steps=Steps(BAD, ((LEAST_COVERAGE, WARN), (0.9, GOOD))),
        decimals=0,
        nothing="no label yet",
    )
    yield value(
        "Waiting for a label",
        "Predictions in the stores of all processes.",
        "short",
        f"sum({of_model(LABELS_PENDING.series)})",
        nothing="no label store",
    )
    yield value(
        "Failures of the store",
        "Times in the last hour that a label store could not be written or read.",
        "short",
        f"sum(increase({of_model(LABEL_STORE_FAILURES.series)}[1h]))",
        steps=NONE_IS_GOOD,
        decimals=0,
    )


def _processes() -> Iterator[Panel]:
    own = of_model(UP.series)
    yield lines(
        REPLICAS,
        "Processes that are being scraped, by arm. One that cannot be scraped falls out, and what it does is not seen.",
        "short",
        *_recorded(names.REPLICAS),
        size=THIRD,
    )
    yield lines(
        "Requests by process",
        "Predictions of each process. One that stands apart gets other requests, or does otherwise.",
        "reqps",
        *_arms(PREDICTIONS, f"sum by (boot) (rate({{}}[{RATE}]))", " {{boot}}"),
        size=THIRD,
    )
    yield lines(
        "Time of a scrape",
        "How long Prometheus takes to fetch the counters of each process.",
        "s",
        Query(f"max by (job, instance) (\n  scrape_duration_seconds and on (job, instance) {own}\n)", "{{instance}}"),
        size=THIRD,
    )
    by, known = "max by (job, instance, variant, revision, boot)", f"last_over_time({own}[1h])"
    here = f"{by} ({known} ^ 0 * on (job, instance) group_left ()"
    yield rows(
        "Targets",
        "What Prometheus scrapes for this model. Down: the last scrape failed.",
        Column("job"),
        Column("instance"),
        Column("state", f"{here} up)", words={0: ("down", BAD), 1: ("up", GOOD)}, width=80, ref="B"),
        Column("variant", width=90),
        Column("revision"),
        Column("boot"),
        Column("counting since", f"{by} ({known}) * 1000", "dateTimeFromNow", ref="A"),
        Column("series", f"{here} scrape_samples_scraped)", "short", width=90, ref="C"),
        size=WIDE,
    )


def _refused() -> Iterator[Panel]:
    yield lines(
        REFUSED,
        "Observations that were refused, of all: what is refused is not judged.",
        "percentunit",
        *_recorded(names.REJECTED),
        Query(f"vector({MOST_REJECTED})", "alert", LIMIT),
    )
    what = "What each reason means: docs/monitors/observing.md."
    yield lines("Refused by reason", what, "cps", _rates(REJECTED, "reason"), stacked=True)


def _labels() -> Iterator[Panel]:
    yield lines(
        COVERAGE,
        "Of the predictions that waited for a label, the share that got it in time, over six hours. Where labels come "
        "for some kinds of requests only, accuracy is that of those kinds.",
        "percentunit",
        *_recorded(names.COVERAGE),
        Query(f"vector({LEAST_COVERAGE})", "alert below", LIMIT),
        size=THIRD,
        most=1,
    )
    yield lines(
        "Labels by what became of them",
        "matched: it counts; unknown: no such id here; duplicate: it had its label; late: after the time-out; "
        "rejected: it cannot be read.",
        "cps",
        _rates(LABEL_EVENTS, "result"),
        size=THIRD,
        stacked=True,
    )
    yield lines(
        STRANGERS,
        "Of the labels that came, the share that found no prediction (unknown or late), over six hours.",
        "percentunit",
        *_recorded(names.UNMATCHED),
        Query(f"vector({MOST_UNMATCHED})", "alert", LIMIT),
        size=THIRD,
    )
    waiting = "Predictions that wait. A line that only rises is of labels that do not come."
    yield lines("Waiting for their label", waiting, "short", *_arms(LABELS_PENDING, "sum({})"))
    expired = _arms(LABELS_EXPIRED, f"sum(rate({{}}[{RATE}]))")
    yield lines("Given up waiting", "Predictions whose label did not come in time.", "cps", *expired)


def _caps(terms: Terms) -> Iterator[Panel]:
    yield lines(
        STORE,
        "Times that a label store could not be written or read, by process; what waits stays in memory while it fits.",
        "cps",
        _rates(LABEL_STORE_FAILURES, "boot"),
    )
    if terms.classification:
        every = of_model(PREDICTED_CLASS.series)
        others = of_model(PREDICTED_CLASS.series, 'class="other"')
        # classes that were declared leave no room for others: then none are counted
        counted = f"sum(rate({others}[{RATE}])) or count({every}) * 0"
        yield lines(
            CAPS,
            f"Beyond {MOST_CLASSES} names of classes all others count as `other`: ids or free text given as class?",
            "short",
            Query(f"count(count by (class) ({every}))", "names of classes", Look("purple")),
            Query(counted, "predictions of `other` a second", Look(BAD)),
        )
    scraped = f"scrape_samples_scraped and on (job, instance) {of_model(UP.series)}"
    yield lines(
        "Series by process",
        "How many series each scrape brings; Prometheus drops a scrape whole that is over its `sample_limit`.",
        "short",
        Query(f"max by (job, instance) (\n  {scraped}\n)", "{{instance}}"),
    )
