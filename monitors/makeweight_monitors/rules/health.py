"""The watchers watched: nothing here is ever read as "all is well"."""

from __future__ import annotations

from collections.abc import Iterator

from makeweight_monitors import metrics
from makeweight_monitors.rules import names
from makeweight_monitors.rules.promql import CANARY, STABLE, block, carried, equals, part, quoted, ratio, selector
from makeweight_monitors.rules.rule import ALARM, EVIDENCE, Alert, Comparison, Group, Level, Recording, Rule, literal
from makeweight_monitors.rules.terms import Terms
from makeweight_monitors.rules.windows import BY_GROUP, RECENT, SPEED

LEAST_COVERAGE = 0.5
MOST_UNMATCHED = 0.2
MOST_REJECTED = 0.01


def groups(terms: Terms) -> Iterator[Group]:
    # as often as the tests: by its age it is told whether they are evaluated
    yield Group("makeweight-watchdog", (_watchdog(terms),), f"{terms.interval}s")
    rules = (*_recordings(terms), *_sources(terms), *_arms(terms), *_evidence(terms), *_labels(terms))
    yield Group("makeweight-health", rules, terms.every_step)


def _recordings(terms: Terms) -> Iterator[Recording]:
    answered, refused = (terms.by_arm(metric.series, SPEED) for metric in (metrics.PREDICTIONS, metrics.REJECTED))
    came = terms.by_arm(metrics.LABEL_EVENTS.series, BY_GROUP)
    expired = terms.by_arm(metrics.LABELS_EXPIRED.series, BY_GROUP)
    matched = terms.by_arm(metrics.LABEL_EVENTS.series, BY_GROUP, 'result="matched"')
    strangers = terms.by_arm(metrics.LABEL_EVENTS.series, BY_GROUP, 'result=~"unknown|late"')
    yield Recording(names.TRAFFIC, terms.speed(metrics.PREDICTIONS.series, SPEED))
    yield Recording(
        names.REPLICAS,
        block(f"""
            count by (model, revision, variant) ({terms.of(metrics.UP.series, CANARY)})
            or
            count by (model, variant) ({terms.of(metrics.UP.series, STABLE)})
            """),
    )
    seen = carried(terms.of(metrics.UP.series), terms.of(names.SILENT))
    yield Recording(
        names.SILENT,
        block(f"""
            max by (model, revision, variant, job, instance) ({seen})
            and on (job, instance)
            up == 0
            """),
    )
    yield Recording(names.REJECTED, part(refused, answered))
    yield Recording(names.COVERAGE, part(matched, expired))
    yield Recording(names.UNMATCHED, ratio(strangers, came))


def _watchdog(terms: Terms) -> Alert:
    return Alert(
        names.WATCHDOG,
        "vector(1)",
        Level("evidence", "none"),
        labels={"model": literal(terms.model)},
        summary=f"The rules of {literal(terms.model)} are being evaluated",
        description="Always firing. Send it to whatever notices when it stops: from then on nothing here is watched.",
    )


def _sources(terms: Terms) -> Iterator[Alert]:
    """Whether figures come at all, and can be counted with."""
    yield Alert(
        names.NOTHING_OBSERVED,
        f"absent({terms.of(metrics.PREDICTIONS.series)})",
        ALARM,
        hold="5m",
        summary="No process counts predictions of {{ $labels.model }}",
        description="There is no series to judge by, so no rule about this model can fire. Nothing is known.",
    )
    yield Alert(
        names.REPLICA_DOWN,
        Comparison(terms.of(names.SILENT), ">", 0),
        ALARM,
        hold="2m",
        summary="{{ $labels.instance }} of {{ $labels.model }} ({{ $labels.variant }}) can no longer be scraped",
        description="What it counted up to its last scrape still counts; what it does now is not seen.",
    )
    canary, stable = terms.of(names.TRAFFIC, CANARY), terms.of(names.TRAFFIC, STABLE)
    yield Alert(
        names.NO_TRAFFIC,
        # the counters of a canary that was taken off stay where its process serves on
        f"({canary} == bool 0) > 0\nand on (model, revision) {terms.of(metrics.UP.series, CANARY)}\n"
        f"or\n((({stable} == bool 0) > 0) unless on (model) {canary} > 0)",
        EVIDENCE,
        hold="15m",
        summary="{{ $labels.model }} ({{ $labels.variant }}) is up and answers nothing",
        description="No prediction in the last five minutes. Nothing is learnt about it, for good or ill.",
    )


def _arms(terms: Terms) -> Iterator[Alert]:
    """Whether both arms are there to be compared."""
    canary, stable = terms.of(names.TRAFFIC, CANARY), terms.of(names.TRAFFIC, STABLE)
    yield Alert(
        names.STABLE_UNSEEN,
        f"sum by (model) ({canary} > 0) unless on (model) {stable} > 0",
        ALARM,
        hold="10m",
        summary="{{ $labels.model }}: a canary answers, and nothing is counted of stable",
        description="There is nothing to compare the canary with: no test asks for its rollback, however wrong it is.",
    )
    up = terms.of(metrics.UP.series, CANARY)
    yield Alert(
        names.CANARY_GONE,
        block(f"""
            count by (model, revision) (last_over_time({up}[1h]))
            unless on (model, revision) {up}
            unless on (model, revision) (last_over_time({up}[1h]) and on (job, instance) up == 0)
            """),
        EVIDENCE,
        hold="5m",
        summary="{{ $labels.model }} {{ $labels.revision }}: no process of the canary is there any more",
        description="None is a target of Prometheus. That is as it should be after a rollback, a promotion or the end "
        "of a trial. Otherwise it was lost, and nobody counts what it answers.",
    )


def _seen(metric: metrics.Metric, terms: Terms, *matchers: str) -> str:
    return f"sum by (model, revision) ({terms.over(metric.series, BY_GROUP, *matchers)}) > 0"


def _evidence(terms: Terms) -> Iterator[Rule]:
    """Whether a canary that serves can be judged."""
    labelled = f"max by (model) (max_over_time({terms.of(names.COVERAGE)}[1d])) > 0"
    if terms.judged:
        yield Alert(
            names.NO_LABELS,
            f"sum by (model) ({terms.of(names.TRAFFIC)}) > 0\nunless on (model) {labelled}",
            EVIDENCE,
            hold="1h",
            summary="{{ $labels.model }}: no label has come for a day",
            description="Nobody tells which answers are right: accuracy is not watched, of stable or of any canary. "
            "Failed answers, disagreement and drift are.",
        )
    if terms.drop is not None and terms.judged:
        yield Alert(
            names.CANARY_UNWATCHED,
            block(f"""
                {terms.of(names.TRAFFIC, CANARY)} > 0
                and on (model) {terms.of(names.TRAFFIC, STABLE)} > 0
                and on (model) {labelled}
                unless on (model, revision) (
                  {_seen(metrics.PAIRED, terms)}
                  or
                  {_seen(metrics.SPLIT, terms, CANARY)}
                )
                """),
            ALARM,
            hold="1h",
            summary="{{ $labels.model }} {{ $labels.revision }} serves, and nothing tells whether it is right",
            description=f"No labelled pair and no labelled request of split traffic in {BY_GROUP}: the tests that may "
            "roll it back have nothing to go by. That is no sign of health.",
        )
    for name in terms.slices:
        yield Alert(
            names.SLICE_UNWATCHED,
            block(f"""
                {_seen(metrics.PAIRED, terms)}
                unless on (model, revision)
                {_seen(metrics.PAIRED_SLICE, terms, equals("slice", name))}
                """),
            EVIDENCE,
            hold="1h",
            labels={"slice": literal(name)},
            # by name: `$labels` are those of the series, without what the alert adds
            summary=f"{{{{ $labels.model }}}} {{{{ $labels.revision }}}}: no labelled pair of slice `{literal(name)}`",
            description=f"Pairs come, and none of this slice in {BY_GROUP}; its budget is not watched.",
        )


def _labels(terms: Terms) -> Iterator[Alert]:
    yield Alert(
        names.OBSERVATIONS_REJECTED,
        Comparison(terms.of(names.REJECTED), ">", MOST_REJECTED),
        EVIDENCE,
        hold="10m",
        summary="{{ $labels.model }} ({{ $labels.variant }}): observations are refused",
        description="{{ $value | humanizePercentage }} of them in five minutes, such as classes that there are not; "
        f"{metrics.REJECTED.series} tells the reasons. What is refused is not judged, but for answers that failed.",
    )
    yield Alert(
        names.LABEL_COVERAGE_LOW,
        Comparison(terms.of(names.COVERAGE), "<", LEAST_COVERAGE),
        EVIDENCE,
        hold="30m",
        summary="{{ $labels.model }} ({{ $labels.variant }}): most predictions never get their label",
        description="{{ $value | humanizePercentage }} of those that waited got it in time. Where labels come for some "
        "kinds of requests only, accuracy is that of those kinds.",
    )
    yield Alert(
        names.LABELS_UNMATCHED,
        Comparison(terms.of(names.UNMATCHED), ">", MOST_UNMATCHED),
        EVIDENCE,
        hold="30m",
        summary="{{ $labels.model }} ({{ $labels.variant }}): labels come for predictions nobody knows",
        description="{{ $value | humanizePercentage }} of the labels name an id that was never recorded or was given "
        "up. Ids may differ between the server and the source of labels, or labels may come too late.",
    )
    yield Alert(
        names.LABEL_STORE_FAILING,
        Comparison(terms.lately(metrics.LABEL_STORE_FAILURES.series, "model, revision, variant, boot"), ">", 0),
        EVIDENCE,
        summary="{{ $labels.model }} ({{ $labels.variant }}): the store of pending labels cannot be written or read",
        description="Predictions that wait for their label are kept in memory while they fit; beyond that, or at a "
        "restart, they are lost, and with them the labels that come for them.",
    )
    refusing = selector(metrics.EXPORTER_REQUESTS.series, 'outcome!="counted"')
    yield Alert(
        names.EXPORTER_REFUSING,
        Comparison(
            block(f"""
                label_replace(
                  sum by (job, instance, outcome) (increase({refusing}[{RECENT}]))
                  and on (job, instance) {terms.of(metrics.UP.series)},
                  "model", {quoted(terms.model)}, "", ""
                )
                """),
            ">",
            0,
        ),
        EVIDENCE,
        hold="20m",
        summary="{{ $labels.instance }}, an exporter of {{ $labels.model }}, keeps refusing whole requests",
        description="{{ $value | humanize }} requests in fifteen minutes were {{ $labels.outcome }}, and none of the "
        "events in them is counted. One stranger's mistake is over by then; this is a sender's.",
    )
    if not terms.classification:
        return
    others = terms.over(metrics.PREDICTED_CLASS.series, "1h", 'class="other"')
    yield Alert(
        names.CAP_REACHED,
        Comparison(f"sum by (model, revision, variant) ({others})", ">", 0),
        EVIDENCE,
        summary="{{ $labels.model }} ({{ $labels.variant }}) names more classes than are told apart",
        description=f"Beyond {metrics.MOST_CLASSES} class names all others count as one. "
        "Are ids or free text given as class?",
    )
