"""A made-up fleet for the unit tests of rules: one stable replica and two of the canary, and ways to spoil them.

Series in the notation of promtool, one sample a minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from makeweight_monitors import metrics
from makeweight_monitors.metrics import Metric
from makeweight_monitors.rules import burn
from makeweight_monitors.rules.promql import equals, number, selector
from makeweight_monitors.rules.terms import Terms

LONGEST = 150
"""Minutes of the longest case."""
STABLE, CANARY = "r1", "r2"
REPLICAS = (("stable", 0), ("canary", 0), ("canary", 1))
BINS = tuple(f"{index:02}" for index in range(3))
CLASSES = ("c0", "c1")
_FAILURES, _REJECTIONS = ("exception", "timeout"), ("bad_shape", "clock")
_ANSWERS, _RESULTS = ("counted", "unauthorized"), ("matched", "unknown")
"""Two of each kind: one that is told of, and one that stays at nought."""
_OUTCOMES = ("right", "wrong")
_ACCURACY = 0.99


@dataclass(frozen=True)
class Row:
    """One series: it grows by `rate` each minute, unless `values` says otherwise."""

    name: str
    labels: Mapping[str, str]
    rate: float = 0.0
    values: str | None = None

    def notation(self, minutes: int = LONGEST) -> tuple[str, str]:
        labels = sorted(self.labels.items())
        text = self.values if self.values is not None else f"0+{number(self.rate)}x{minutes}"
        return selector(self.name, *(equals(*label) for label in labels)), text

    def until(self, minute: int) -> Row:
        """The same, whose process is a target no more from then on."""
        values = self.notation(minute)[1].replace(f"x{LONGEST}", f"x{minute}")
        return replace(self, values=f"{values} stale")

    def is_of(self, process: str) -> bool:
        """Whether it is a series of a process whose name begins so, or of its target."""
        return self.labels.get("boot", self.labels.get("instance", "")).startswith(process)

    def fits(self, metric: Metric, where: Mapping[str, str]) -> bool:
        return self.name == metric.series and all(self.labels.get(key) == value for key, value in where.items())


def healthy(terms: Terms) -> list[Row]:
    """All that a fleet in good order shows."""
    return [*_rows(terms), *(_controller(terms) if terms.controlled else ())]


def spoiled(rows: Iterable[Row], metric: Metric, where: Mapping[str, str], rate: float = 0) -> list[Row]:
    """The same, but for the rate of what is of this metric and bears these labels."""
    return [replace(row, rate=rate) if row.fits(metric, where) else row for row in rows]


def fast_bucket(terms: Terms) -> tuple[int, int]:
    """In which bucket of latency the stable model and the canary answer: as slow as the budget lets, the fastest."""
    bounds = [bound for limit in terms.latency if (bound := burn.bucket(limit)) is not None]
    return metrics.LATENCY_BUCKETS.index(min(bounds)) if bounds else 6, 0


def _rows(terms: Terms) -> Iterator[Row]:
    for variant, index in REPLICAS:
        revision = CANARY if variant == "canary" else STABLE
        boot = f"{variant[0]}{index}"
        target = {"instance": boot}
        where = {"model": terms.model, "revision": revision, "variant": variant, "boot": boot, **target}
        yield Row("up", target, values=f"1x{LONGEST}")
        yield _gauge(metrics.UP, where, 1_700_000_000)
        yield Row(metrics.PREDICTIONS.series, where, 1200 if variant == "stable" else 600)
        if variant == "canary":
            yield _gauge(metrics.DECLARED_SHARE, where, 0.5)
        for outcome in metrics.ANSWERED_OR_FAILED if variant == "canary" else ():
            yield _row(metrics.REPEATS, where, 0, outcome=outcome)
        for name in (*CLASSES, "other"):
            yield _row(metrics.PREDICTED_CLASS, where, 0 if name == "other" else 300, class_=name)
        yield from _scores(where)
        for outcome in _OUTCOMES:
            right = outcome == "right"
            yield _row(metrics.LABELLED, where, 300 * right, outcome=outcome)
            for name in CLASSES:
                yield _row(metrics.LABELLED_CLASS, where, 150 * right, outcome=outcome, class_=name)
            for name in terms.slices:
                yield _row(metrics.LABELLED_SLICE, where, 100 * right, outcome=outcome, slice=name)
            trial = where | {"revision": CANARY}
            count = 50 if variant == "canary" else 150  # labels come for more of the canary's than of stable's
            yield _row(metrics.SPLIT, trial, count * right, outcome=outcome, weight="0.5")
        for metric, reasons in ((metrics.FAILED, _FAILURES), (metrics.REJECTED, _REJECTIONS)):
            for reason in reasons:
                yield _row(metric, where, 0, reason=reason)
        for result in _RESULTS:
            yield _row(metrics.LABEL_EVENTS, where, 300 * (result == "matched"), result=result)
        yield Row(metrics.LABELS_EXPIRED.series, where, 0)
        yield Row(metrics.LABEL_STORE_FAILURES.series, where, 0)
        for name in BINS if variant == "stable" else ():
            yield _row(metrics.FEATURE_BIN, where, 60, feature="width", bin=name)
        for answer in _ANSWERS if variant == "stable" else ():
            sender = {"boot": boot, **target}
            yield _row(metrics.EXPORTER_REQUESTS, sender, 60 * (answer == "counted"), endpoint="events", outcome=answer)
        if variant == "stable":
            yield _row(metrics.SERVING_REFUSED, {"model": terms.model}, 0, reason="load")
        elif index == 0:
            yield _gauge(metrics.SERVING_BREAKER, where, 0)
        yield from latency(terms, where, fast_bucket(terms)[variant == "canary"])
        if variant == "canary":
            yield from pairs({key: value for key, value in where.items() if key != "variant"}, terms)


def _controller(terms: Terms) -> Iterator[Row]:
    """One that looks each minute, and has nothing to do."""
    where = {"model": terms.model, "job": "controller", "instance": "controller:9465"}
    yield Row(metrics.CONTROLLER_LAST_LOOK.series, where, values=f"0+60x{LONGEST}")  # promtool's time begins at nought
    for why in metrics.CONTROLLER_BLINDNESS:
        yield _gauge(metrics.CONTROLLER_BLIND, {**where, "why": why}, 0)
    yield _gauge(metrics.CONTROLLER_HELD, where, 0)
    for stage in ("observing", "failed"):
        trial = {**where, "revision": CANARY, "stage": stage}
        yield _gauge(metrics.CONTROLLER_STAGE, trial, int(stage == "observing"))
    for action in metrics.CONTROLLER_DEEDS:
        for outcome in metrics.CONTROLLER_DEED_OUTCOMES:
            yield _row(metrics.CONTROLLER_ACTIONS, where, 0, action=action, outcome=outcome)
    for outcome in ("taken", "unknown"):
        yield _row(metrics.CONTROLLER_REQUESTS, where, 0, endpoint="alertmanager", outcome=outcome)


def pairs(where: Mapping[str, str], terms: Terms) -> Iterator[Row]:
    """Pairs of a shadowed canary: all of them tied."""
    for agree in ("yes", "no"):
        yield _row(metrics.SHADOW_PAIRS, where, 40 * (agree == "yes"), agree=agree)
        yield _row(metrics.SHADOW_LABELLED, where, 20 * (agree == "yes"), agree=agree)
    for stable in _OUTCOMES:
        for canary in _OUTCOMES:
            cell = {"stable": stable, "canary": canary}
            count = 20 if stable == canary == "right" else 0
            yield _row(metrics.PAIRED, where, count, **cell)
            for name in terms.slices:
                yield _row(metrics.PAIRED_SLICE, where, count, slice=name, **cell)
            for name in CLASSES:
                yield _row(metrics.PAIRED_CLASS, where, count, class_=name, **cell)


def _scores(where: Mapping[str, str]) -> Iterator[Row]:
    """Confidence as it was on the test split, each bin right as often; the lowest one is the exception."""
    for name in BINS:
        yield _row(metrics.SCORE_BIN, where, 60, bin=name)
        yield _gauge(metrics.CALIBRATION, where, 0 if name == BINS[0] else _ACCURACY, bin=name)
        yield _gauge(metrics.REFERENCE_SHARE, where, 1 / len(BINS), bin=name)


def latency(terms: Terms, where: Mapping[str, str], bucket: int) -> Iterator[Row]:
    """Answers that all fall into one bucket; one past the last is over every bound. Of bounds, those that tell."""
    declared = {burn.bucket(limit) for limit in terms.latency}
    for index, bound in enumerate((*metrics.LATENCY_BUCKETS, None)):
        if not (index in (bucket - 1, bucket) or bound is None or bound in declared):
            continue
        text = "+Inf" if bound is None else repr(float(bound))
        yield Row(f"{metrics.LATENCY.series}_bucket", {**where, "le": text}, 600 * (index >= bucket))
    yield Row(f"{metrics.LATENCY.series}_count", where, 600)
    yield Row(f"{metrics.LATENCY.series}_sum", where, 0.01 * (bucket + 1))


def _row(metric: Metric, where: Mapping[str, str], rate: float, **labels: str) -> Row:
    return Row(metric.series, {**where, **{key.rstrip("_"): value for key, value in labels.items()}}, rate)


def _gauge(metric: Metric, where: Mapping[str, str], value: float, **labels: str) -> Row:
    labels_of_metric = {key: value for key, value in where.items() if key in (*metric.labels, "job", "instance")}
    return Row(metric.series, {**labels_of_metric, **labels}, values=f"{number(value)}x{LONGEST}")
