"""A scrape of 2,000 series beside prometheus_client's own counters of as many. Target: under 30 ms.

Both registries are written out in turn, as text and as OpenMetrics, by prometheus_client's own writers; processor time,
the least of several. Ours are observers' of classifiers with ten classes, as many as it takes; theirs are counters and
histograms of the same names, labels and number, without the time each was created.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from cost import cost
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics

from makeweight_monitors.metrics import CATALOGUE, LATENCY_BUCKETS
from makeweight_monitors.observe.observer import Observer

SERIES = 2_000
TARGET = 30.0


def main() -> None:
    # ours have none: every process has a `boot` of its own
    disable_created_metrics()  # type: ignore[no-untyped-call]
    ours = observed()
    theirs = copied(ours)
    counts = [sum(len(family.samples) for family in registry.collect()) for registry in (ours, theirs)]
    for name, write in (("text", generate_latest), ("OpenMetrics", openmetrics)):
        own, other = (cost(partial(write, registry), number=1, repeat=25) / 1e6 for registry in (ours, theirs))
        print(
            f"scrape, {name}: {own:.1f} ms for {counts[0]:,} series ({own / TARGET:.2f} of the target of {TARGET:.0f} "
            f"ms), {own / other:.2f}x prometheus_client's own {other:.1f} ms for {counts[1]:,}"
        )


def observed() -> CollectorRegistry:
    """Observers of one model after the other, until there are enough series."""
    registry = CollectorRegistry(auto_describe=True)
    classes = [str(number) for number in range(10)]
    series = number = 0
    while series < SERIES:
        observer = Observer(f"model-{number}", "r1", "canary", classes=classes, scores="softmax", registry=registry)
        observer.record(np.eye(10), 0.002)
        number += 1
        series = sum(len(family.samples) for family in registry.collect())
    return registry


def copied(ours: CollectorRegistry) -> CollectorRegistry:
    """prometheus_client's own metrics with the same labels and values."""
    registry = CollectorRegistry(auto_describe=True)
    kinds = {metric.name: metric for metric in CATALOGUE}
    for family in ours.collect():
        metric = kinds[family.name]
        labels = [label for label in family.samples[0].labels if label != "le"]
        if family.type == "histogram":
            made = Histogram(metric.name, metric.help, labels, registry=registry, buckets=LATENCY_BUCKETS)
            for sample in family.samples:
                if sample.name.endswith("_count"):
                    made.labels(**sample.labels).observe(0.002)
        elif family.type == "counter":
            counter = Counter(metric.name, metric.help, labels, registry=registry)
            for sample in family.samples:
                if sample.name.endswith("_total"):
                    counter.labels(**sample.labels).inc(sample.value)
        else:
            gauge = Gauge(metric.name, metric.help, labels, registry=registry)
            for sample in family.samples:
                gauge.labels(**sample.labels).set(sample.value)
    return registry


if __name__ == "__main__":
    main()
