"""The watchers of one model watched: what is counted, what is refused, which labels come."""

from __future__ import annotations

from collections.abc import Iterator

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from makeweight_monitors import metrics
from makeweight_monitors.dashboards import controllers, exporters, failing, firing
from makeweight_monitors.dashboards.board import Section
from makeweight_monitors.dashboards.look import BAD, CANARY, GOOD, LIMIT, STABLE, WARN, Look
from makeweight_monitors.dashboards.panel import NONE_IS_GOOD, THIRD, WIDE, Column, Steps, abreast, lines, rows, value
from makeweight_monitors.dashboards.project import of_project
from makeweight_monitors.dashboards.query import RATE, Query, at_its_address, of_model, rates
from makeweight_monitors.rules import names, promql
from makeweight_monitors.rules.health import LEAST_COVERAGE, MOST_REJECTED, MOST_UNMATCHED
from makeweight_monitors.rules.terms import Terms

REPLICAS = "Processes"
REFUSED = "Share that is refused"
COVERAGE = "Labels that come"
STRANGERS = "Labels for strangers"
AGREEING = "Labels of pairs"
STORE = "Label store"
CAPS = "Classes told apart"


def build(terms: Terms) -> Dashboard:
    question = (
        f"Whether the figures about {terms.model} can be relied on: who counts, what is refused, which labels come."
    )
    sections = [
        Section("", (*abreast(_state()), firing.alerts(terms.runbooks))),
        Section("What fails", (failing.over_time(), failing.by_reason())),
        Section("Who counts", tuple(_processes())),
        Section("What is refused", tuple(_refused())),
        Section("Which labels come", tuple(_labels(terms))),
        Section("Limits of what is kept", tuple(_caps(terms)), collapsed=True),
        Section("Exporters, where there are any", tuple(exporters.panels()), collapsed=True),
        Section("Servers that follow a pointer", tuple(controllers.of_servers()), collapsed=True),
    ]
    if terms.controlled:
        sections.insert(1, Section("The controller", tuple(controllers.of_controller())))
    return of_project(terms, "health", "observers", question, sections, span="6h", revision=False)


def _arms(series: str, around: str = "{}", boot: str = "", revision: str = "") -> list[Query]:
    """Both arms, put in the place of `{}`; this dashboard has no choice of a revision."""
    return [
        Query(around.format(of_model(series, promql.STABLE)), f"stable{boot}", STABLE),
        Query(around.format(of_model(series, promql.CANARY)), f"canary{boot}{revision}", CANARY),
    ]


def _recorded(series: str) -> list[Query]:
    return _arms(series, revision=" {{revision}}")


def _of_scrapes(series: str) -> Query:
    return Query(f"max by (job, instance) (\n  {at_its_address(series)}\n)", "{{instance}}")


def _state() -> Iterator[Panel]:
    yield firing.state()
    yield failing.state()
    scraped = f"count(count by (boot) ({of_model(metrics.UP.series)}))"
    yield value("Processes", "Processes that are being scraped, of both arms.", "short", scraped)
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
    stored, pending = "Predictions in the stores of all processes.", f"sum({of_model(metrics.LABELS_PENDING.series)})"
    yield value("Waiting for a label", stored, "short", pending, nothing="no label store")
    what = "Times in the last hour that a label store could not be written or read."
    failures = f"sum(increase({of_model(metrics.LABEL_STORE_FAILURES.series)}[1h]))"
    yield value("Failures of the store", what, "short", failures, steps=NONE_IS_GOOD, decimals=0)


def _processes() -> Iterator[Panel]:
    own = of_model(metrics.UP.series)
    yield lines(
        REPLICAS,
        "Processes that are being scraped, by arm. One that cannot be scraped falls out, and what it does is not seen.",
        "short",
        *_recorded(names.REPLICAS),
        size=THIRD,
    )
    what = "Predictions of each process. One that stands apart gets other requests, or does otherwise."
    arms = _arms(metrics.PREDICTIONS.series, f"sum by (boot) (rate({{}}[{RATE}]))", " {{boot}}")
    yield lines("Requests by process", what, "reqps", *arms, size=THIRD)
    what = "How long Prometheus takes to fetch the counters of each process."
    yield lines("Time of a scrape", what, "s", _of_scrapes("scrape_duration_seconds"), size=THIRD)
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
    what, line = "Observations that were refused, of all: what is refused is not judged.", f"vector({MOST_REJECTED})"
    yield lines(REFUSED, what, "percentunit", *_recorded(names.REJECTED), Query(line, "alert", LIMIT))
    what = "What each reason means: docs/monitors/observing.md."
    yield lines("Refused by reason", what, "cps", rates(metrics.REJECTED, "reason"), stacked=True)


def _labels(terms: Terms) -> Iterator[Panel]:
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
        rates(metrics.LABEL_EVENTS, "result"),
        size=THIRD,
        stacked=True,
    )
    what = "Of the labels that came, the share that found no prediction (unknown or late), over six hours."
    line = Query(f"vector({MOST_UNMATCHED})", "alert", LIMIT)
    yield lines(STRANGERS, what, "percentunit", *_recorded(names.UNMATCHED), line, size=THIRD)
    waiting = "Predictions that wait. A line that only rises is of labels that do not come."
    pending = _arms(metrics.LABELS_PENDING.series, "sum({})")
    yield lines("Waiting for their label", waiting, "short", *pending, size=THIRD)
    expired = _arms(metrics.LABELS_EXPIRED.series, f"sum(rate({{}}[{RATE}]))")
    yield lines("Given up waiting", "Predictions whose label did not come in time.", "cps", *expired, size=THIRD)
    if terms.of_pairs():
        yield lines(
            AGREEING,
            "Of the shadowed requests since the canary began, the share that got its label, by whether the two "
            "answered the same. The tests of pairs are off while more of those that differ get one than chance allows.",
            "percentunit",
            Query(f"max by (agree) ({of_model(names.PAIR_COVERAGE)})", "same answer: {{agree}}"),
            size=THIRD,
            most=1,
        )


def _caps(terms: Terms) -> Iterator[Panel]:
    what = (
        "Times that a label store could not be written or read, by process; what waits stays in memory while it fits."
    )
    yield lines(STORE, what, "cps", rates(metrics.LABEL_STORE_FAILURES, "boot"))
    if terms.classification:
        every = of_model(metrics.PREDICTED_CLASS.series)
        others = of_model(metrics.PREDICTED_CLASS.series, 'class="other"')
        # classes that were declared leave no room for others: then none are counted
        counted = f"sum(rate({others}[{RATE}])) or count({every}) * 0"
        yield lines(
            CAPS,
            f"Beyond {metrics.MOST_CLASSES} names of classes all others count as `other`: "
            "ids or free text given as class?",
            "short",
            Query(f"count(count by (class) ({every}))", "names of classes", Look("purple")),
            Query(counted, "predictions of `other` a second", Look(BAD)),
        )
    what = "How many series each scrape brings; Prometheus drops a scrape whole that is over its `sample_limit`."
    yield lines("Series by process", what, "short", _of_scrapes("scrape_samples_scraped"))
