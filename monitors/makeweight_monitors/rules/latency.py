"""Latency of both arms from their histograms, and canary against stable."""

from __future__ import annotations

from collections.abc import Iterator

from makeweight_monitors.metrics import LATENCY
from makeweight_monitors.rules import names
from makeweight_monitors.rules.burn import bucket
from makeweight_monitors.rules.promql import CANARY, STABLE, beside, number, ratio
from makeweight_monitors.rules.rule import EVIDENCE, Alert, Comparison, Group, Level, Recording, Rule
from makeweight_monitors.rules.terms import Terms
from makeweight_monitors.rules.windows import SPEED


def groups(terms: Terms) -> Iterator[Group]:
    yield Group("makeweight-latency", tuple(_rules(terms)), terms.every_step)


def _rules(terms: Terms) -> Iterator[Rule]:
    yield Recording(names.LATENCY_BUCKETS, terms.speed(f"{LATENCY.series}_bucket", SPEED, by=("le",)))
    for quantile, name in names.LATENCY.items():
        # where nothing was answered the quantile is NaN, which no panel shows and every rule that reads it hands on
        yield Recording(name, f"histogram_quantile({quantile}, {terms.of(names.LATENCY_BUCKETS)}) >= 0")
    total, count = (terms.speed(f"{LATENCY.series}_{of}", SPEED) for of in ("sum", "count"))
    yield Recording(names.LATENCY_MEAN, ratio(total, count))
    compared = [(names.LATENCY[q], name) for q, name in names.LATENCY_RATIO.items()]
    for name, against in (*compared, (names.LATENCY_MEAN, names.LATENCY_MEAN_RATIO)):
        yield Recording(against, beside(terms.of(name, CANARY), "/", terms.of(name, STABLE)))
    for limit in terms.latency:
        if limit.most_ratio is None:
            continue
        yield Alert(
            names.LATENCY_ABOVE_STABLE,
            Comparison(terms.of(names.LATENCY_RATIO[limit.quantile]), ">", limit.most_ratio),
            EVIDENCE,
            hold="15m",
            labels={"quantile": number(limit.quantile)},
            summary="{{ $labels.model }} {{ $labels.revision }} is not as fast beside stable as its budget asks",
            description=f"Its p{limit.quantile * 100:g} is {{{{ $value | humanize }}}} times stable's, and "
            f"{limit.most_ratio:g} is allowed. A percentile of a histogram is exact to the width of a bucket only, and "
            "the server's own share of the time is in both.",
        )
    if any(limit.most_ratio is not None or bucket(limit) is not None for limit in terms.latency):
        yield Alert(
            names.LATENCY_UNSEEN,
            f"{terms.of(names.TRAFFIC)} > 0\nunless on (model, revision, variant) {terms.of(names.LATENCY[0.5])}",
            Level("alarm", "ticket"),
            hold="30m",
            summary="{{ $labels.model }} ({{ $labels.variant }}) answers, and nothing tells how fast",
            description="Its predictions are counted, and no bucket of their latency is: the budget's limits on it are "
            "not watched. That is no sign of health.",
        )
