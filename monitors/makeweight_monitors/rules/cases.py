"""What the generated rules are tried on: for each way to go wrong, which alerts fire and which must not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from makeweight_monitors import eprocess, metrics
from makeweight_monitors.rules import burn, generate, names
from makeweight_monitors.rules.dependencies import reached
from makeweight_monitors.rules.fleet import BINS, CLASSES, Row, fast_bucket, healthy, latency, spoiled
from makeweight_monitors.rules.rule import Group, Recording
from makeweight_monitors.rules.terms import Terms

LENGTH = 48
"""Minutes of a case, unless it has to last: over the half hour that most alerts wait at most."""
LONG = 90
"""For those that wait an hour."""


@dataclass(frozen=True)
class Check:
    """At some minute, of the alerts `about`, those in `fires` fire and the others do not."""

    minute: int
    about: frozenset[str]
    fires: frozenset[str]


@dataclass(frozen=True)
class Case:
    name: str
    rows: tuple[Row, ...]
    checks: tuple[Check, ...]
    minutes: int = LENGTH


def cases(terms: Terms) -> list[Case]:
    """All that apply to these terms; no alert that exists is left without a case in which it fires."""
    groups = generate.groups(terms)
    existing = frozenset(alert.name for alert in generate.alerts(groups))
    built = (case for build in (_good, _rollback, _evidence, _blind, _labels) for case in build(terms, existing))
    return [_without_idle_rows(case, groups) for case in built]


def _without_idle_rows(case: Case, groups: tuple[Group, ...]) -> Case:
    """The case with only those series that its alerts read, directly or through recordings."""
    recorded: dict[str, list[str]] = {}
    for group in groups:
        for rule in group.rules:
            if isinstance(rule, Recording):
                recorded.setdefault(rule.record, []).append(rule.expression)
    about = {name for check in case.checks for name in check.about}
    read = reached((alert.expression for alert in generate.alerts(groups) if alert.name in about), recorded)
    return replace(case, rows=tuple(row for row in case.rows if row.name in read))


def _asking(existing: frozenset[str]) -> frozenset[str]:
    return existing & {
        names.ACCURACY_DROP_PAIRED,
        names.ACCURACY_DROP_SPLIT,
        names.ACCURACY_DROP_SLICE,
        names.ACCURACY_DROP_CLASS,
    }


def _case(
    name: str,
    rows: list[Row],
    existing: frozenset[str],
    fires: set[str],
    *,
    about: set[str] | None = None,
    minutes: int = LENGTH,
) -> Iterator[Case]:
    """At the end `fires` fire; besides these, nothing in `about` does, and never anything that would roll back."""
    expected = existing & fires
    if not expected:
        return
    considered = existing if about is None else _asking(existing) | (existing & about)
    yield Case(name, tuple(rows), (Check(minutes - 4, considered | expected, expected),), minutes)


def _good(terms: Terms, existing: frozenset[str]) -> Iterator[Case]:
    rows = healthy(terms, LENGTH)
    quiet = existing if _beats_stable(terms) else existing - {names.LATENCY_ABOVE_STABLE}
    only = frozenset({names.WATCHDOG})
    checks = tuple(Check(minute, quiet, only) for minute in (20, LENGTH - 4))
    yield Case("all is well", tuple(rows), checks)
    restarted = [row for one in rows for row in _reborn(one)]
    yield Case("a replica restarts: its counters begin at nought", tuple(restarted), checks)
    if names.ACCURACY_DROP_PAIRED in existing and terms.drop is not None:
        yield _over_two_boots(terms, rows)


def _reborn(row: Row) -> list[Row]:
    """The first canary ends after an hour, and a process of a new boot takes its address."""
    if row.labels.get("boot") != "canary-0":
        return [row]
    half = LENGTH // 2
    values = row.notation(half)[1]
    after = {**row.labels, "boot": "canary-0-again"}
    return [replace(row, values=f"{values} stale"), replace(row, labels=after, values=f"_x{half} {values}")]


def _over_two_boots(terms: Terms, rows: list[Row]) -> Case:
    """Harm that no process alone has seen enough of."""
    bets, line, enough = eprocess.paired(terms.drop or 0.0), terms.line("paired"), 1
    while eprocess.evalue(bets, enough, 0, 0) <= line:
        enough += 1
    ties = spoiled(rows, metrics.PAIRED.series)
    counted = []
    for row in [part for one in ties for part in _reborn(one)]:
        if row.fits(metrics.PAIRED.series, {"stable": "right", "canary": "wrong"}):
            half = LENGTH // 2
            text = {
                "canary-0": f"0 {enough - 1}x{half - 1} stale",
                "canary-0-again": f"_x{half + 1} 0 {enough - 1}x{half - 2}",
            }.get(row.labels["boot"])
            counted.append(row if text is None else replace(row, values=text))
        else:
            counted.append(row)
    about = frozenset({names.ACCURACY_DROP_PAIRED})
    return Case(
        "harm seen by a process that ended and by its successor adds up",
        tuple(counted),
        (Check(LENGTH // 2 - 2, about, frozenset()), Check(LENGTH - 4, about, about)),
    )


def _beats_stable(terms: Terms) -> bool:
    """Whether the made-up fleet keeps the budget's ratios; one that asks for more than buckets can show it does not."""
    stable, canary = fast_bucket(terms)
    bounds = (0.0, *metrics.LATENCY_BUCKETS)
    return all(
        limit.most_ratio is None
        or (bounds[canary] + limit.quantile * (bounds[canary + 1] - bounds[canary]))
        < limit.most_ratio * (bounds[stable] + limit.quantile * (bounds[stable + 1] - bounds[stable]))
        for limit in terms.latency
    )


_HARM: Mapping[str, str] = {"stable": "right", "canary": "wrong"}
_TIE: Mapping[str, str] = {"stable": "right", "canary": "right"}


def _harmed(rows: list[Row], metric: metrics.Metric, **where: str) -> list[Row]:
    """Every pair a harm."""
    return spoiled(spoiled(rows, metric.series, 20, **_HARM, **where), metric.series, 0, **_TIE, **where)


def _rollback(terms: Terms, existing: frozenset[str]) -> Iterator[Case]:
    rows = healthy(terms, LENGTH)
    yield from _case(
        "the canary is wrong wherever stable is right",
        _harmed(rows, metrics.PAIRED),
        existing,
        {names.ACCURACY_DROP_PAIRED, names.ACCURACY_DROP_RECENT, names.FLIPS_BURN},
        about=set(),
    )
    wrong = spoiled(rows, metrics.SPLIT.series, 5, variant="canary", outcome="wrong")
    wrong = spoiled(wrong, metrics.SPLIT.series, 0, variant="canary", outcome="right")
    yield from _case("in split traffic the canary is wrong", wrong, existing, {names.ACCURACY_DROP_SPLIT}, about=set())
    for name in list(terms.slices)[:1]:
        yield from _case(
            "the canary is wrong on one slice",
            _harmed(rows, metrics.PAIRED_SLICE, slice=name),
            existing,
            {names.ACCURACY_DROP_SLICE},
            about=set(),
        )
    yield from _case(
        "the canary is wrong on one class",
        _harmed(rows, metrics.PAIRED_CLASS, class_=CLASSES[0]),
        existing,
        {names.ACCURACY_DROP_CLASS},
        about=set(),
    )


def _evidence(terms: Terms, existing: frozenset[str]) -> Iterator[Case]:
    rows = healthy(terms, LENGTH)
    wrong = spoiled(rows, metrics.LABELLED.series, 300, variant="canary", outcome="wrong")
    wrong = spoiled(wrong, metrics.LABELLED.series, 0, variant="canary", outcome="right")
    yield from _case(
        "labels say that the canary is wrong: evidence, and no rollback",
        wrong,
        existing,
        {names.ACCURACY_BELOW_STABLE, names.ACCURACY_BURN},
        about=set(),
    )
    apart = spoiled(
        spoiled(rows, metrics.SHADOW_PAIRS.series, 40, agree="no"), metrics.SHADOW_PAIRS.series, 0, agree="yes"
    )
    yield from _case("the two answer differently", apart, existing, {names.DISAGREEMENT_HIGH_ALERT}, about=set())
    unsure = spoiled(rows, metrics.SCORE_BIN.series, 0, variant="canary")
    unsure = spoiled(unsure, metrics.SCORE_BIN.series, 600, variant="canary", bin=BINS[0])
    yield from _case(
        "the canary is no longer sure of itself",
        unsure,
        existing,
        {names.SCORES_DIFFER, names.SCORES_SHIFTED, names.CONFIDENCE_FELL},
        about=set(),
    )
    one_class = spoiled(rows, metrics.PREDICTED_CLASS.series, 0, variant="canary")
    one_class = spoiled(one_class, metrics.PREDICTED_CLASS.series, 600, variant="canary", class_=CLASSES[0])
    yield from _case(
        "the canary predicts one class alone", one_class, existing, {names.PREDICTIONS_DIFFER}, about=set()
    )
    slow = [
        row for row in rows if not (row.name.startswith(metrics.LATENCY.series) and row.labels["variant"] == "canary")
    ]
    for index in range(2):
        one = next(row for row in rows if row.labels.get("boot") == f"canary-{index}" and "variant" in row.labels)
        slow += latency(one.labels, len(metrics.LATENCY_BUCKETS))
    yield from _case(
        "the canary is slow",
        slow,
        existing,
        {names.LATENCY_BURN, names.LATENCY_ABOVE_STABLE},
        about=set(),
    )
    yield _inputs(terms)


def _inputs(terms: Terms) -> Case:
    """Three hours as they were, then one in which everything falls into the first bin."""
    before, after = 90, 60
    rows = []
    for row in healthy(terms, before + after):
        if row.name == metrics.FEATURE_BIN.series:
            then = 600 if row.labels["bin"] == BINS[0] else 0
            rows.append(replace(row, values=f"0+60x{before} {60 * before}+{then}x{after}"))
    about = frozenset({names.INPUTS_SHIFTED})
    checks = (Check(before - 4, about, frozenset()), Check(before + after - 4, about, about))
    return Case("inputs shift", tuple(rows), checks, before + after)


def _blind(terms: Terms, existing: frozenset[str]) -> Iterator[Case]:
    rows = healthy(terms, LENGTH)
    still = [replace(row, rate=0.0) for row in rows]
    yield from _case(
        "no traffic: nothing is known, and nothing rolled back",
        still,
        existing,
        {names.NO_TRAFFIC, names.WATCHDOG},
        about={names.NOTHING_OBSERVED, names.ACCURACY_DROP_RECENT, *(one.alert for one in burn.objectives(terms))},
    )
    yield from _case(
        "no process at all",
        [row for row in rows if row.name == "up"],
        existing,
        {names.NOTHING_OBSERVED, names.WATCHDOG},
    )
    gone = []
    for row in rows:
        instance = row.labels.get("instance")
        half = LENGTH // 2
        if row.name == "up" and instance == "canary-1:9000":
            gone.append(replace(row, values=f"1x{half} 0x{half}"))
        elif instance == "canary-1:9000":
            gone.append(replace(row, values=f"{row.notation(half)[1]} stale"))
        else:
            gone.append(row)
    lost = {names.REPLICA_DOWN, names.WATCHDOG}
    yield from _case(
        "one replica is gone: told, and the rest is judged on",
        gone,
        existing,
        lost,
        about=set(existing) if _beats_stable(terms) else set(existing - {names.LATENCY_ABOVE_STABLE}),
    )
    poisoned = [
        replace(row, values=f"0+20x{LENGTH // 2} " + " ".join(["NaN"] * (LENGTH // 2)))
        if row.fits(metrics.PAIRED.series, {**_TIE, "boot": "canary-0"})
        else row
        for row in rows
    ]
    yield from _case("a counter turns into NaN", poisoned, existing, {names.COUNTER_POISONED}, about=set())
    lasting = healthy(terms, LONG)
    silent = spoiled(spoiled(lasting, metrics.PAIRED.series), metrics.SPLIT.series)
    yield from _case(
        "the canary serves and no label comes",
        silent,
        existing,
        {names.CANARY_UNWATCHED},
        about={names.SLICE_UNWATCHED},
        minutes=LONG,
    )
    yield from _case(
        "no label comes for the slices",
        spoiled(lasting, metrics.PAIRED_SLICE.series),
        existing,
        {names.SLICE_UNWATCHED},
        about={names.CANARY_UNWATCHED},
        minutes=LONG,
    )
    foreign = [
        Row(row.name, {**row.labels, "weight": "0.123"}, row.rate) for row in rows if row.name == metrics.SPLIT.series
    ]
    yield from _case(
        "split traffic at another weight",
        [*rows, *foreign],
        existing,
        {names.WEIGHT_UNKNOWN},
        about=set(),
    )


def _labels(terms: Terms, existing: frozenset[str]) -> Iterator[Case]:
    rows = healthy(terms, LENGTH)
    every = {
        names.OBSERVATIONS_REJECTED,
        names.LABEL_COVERAGE_LOW,
        names.LABELS_UNMATCHED,
        names.LABEL_STORE_FAILING,
        names.CAP_REACHED,
        names.EXPORTER_REFUSING,
    }
    for name, metric, rate, where, alert in (
        ("scores that are no numbers", metrics.REJECTED, 60, {"reason": "not_finite"}, names.OBSERVATIONS_REJECTED),
        ("labels do not come in time", metrics.LABELS_EXPIRED, 900, {}, names.LABEL_COVERAGE_LOW),
        ("labels for strangers", metrics.LABEL_EVENTS, 300, {"result": "unknown"}, names.LABELS_UNMATCHED),
        ("the label store's disk is full", metrics.LABEL_STORE_FAILURES, 1, {}, names.LABEL_STORE_FAILING),
        ("more classes than are told apart", metrics.PREDICTED_CLASS, 1, {"class": "other"}, names.CAP_REACHED),
    ):
        # of one variant alone: the other must not be named
        spoilt = spoiled(rows, metric.series, rate, variant="canary", **where)
        yield from _case(name, spoilt, existing, {alert}, about=every)
    refusing = spoiled(rows, metrics.EXPORTER_REQUESTS.series, 2, outcome="unauthorized")
    yield from _case("an exporter refuses a sender", refusing, existing, {names.EXPORTER_REFUSING}, about=every)
