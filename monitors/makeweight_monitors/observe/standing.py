"""What is told of a model beside what is counted: since when, how many wait for their label, which build is served, and
how it answered the test split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial

from makeweight_monitors import metrics
from makeweight_monitors.build import Build
from makeweight_monitors.observe.arm import bin_names
from makeweight_monitors.observe.counters import Counters
from makeweight_monitors.observe.labelfile import PAIR
from makeweight_monitors.observe.pending import Pending
from makeweight_monitors.reference import Reference


def tell(
    counters: Counters,
    model: str,
    revision: str,
    arms: Sequence[str],
    references: Mapping[str, Reference],
    builds: Mapping[str, Build],
    store: Pending | None,
    weight: float | None = None,
) -> None:
    """Put the gauges of one revision beside its counters.

    Args:
        arms: the variants that are counted here.
        references, builds: of the variants for which there is one.
        store: of what waits for labels.
        weight: the canary's share of split traffic.
    """

    def labels(variant: str) -> dict[str, str]:
        return {"model": model, "revision": revision, "variant": variant}

    for variant in arms:
        counters.gauge(metrics.UP, labels(variant), lambda: counters.began)
        if weight is not None:
            counters.gauge(metrics.DECLARED_SHARE, labels(variant), partial(float, weight))
        if store is not None:
            counters.gauge(metrics.LABELS_PENDING, labels(variant), partial(_waiting, store, revision, variant))
    for variant, reference in references.items():
        _tell_reference(counters, labels(variant), reference)
    for variant in sorted({*references, *builds}):
        _tell_build(counters, labels(variant), builds.get(variant) or _build_of(references[variant]))


def _tell_reference(counters: Counters, labels: Mapping[str, str], reference: Reference) -> None:
    confidence = reference.confidence
    if confidence is None:
        return
    bins = bin_names(len(confidence.count))
    for bin, accuracy, share in zip(bins, confidence.accuracy, confidence.share(), strict=True):
        counters.gauge(metrics.REFERENCE_SHARE, {**labels, "bin": bin}, partial(float, share))
        if accuracy is not None:
            counters.gauge(metrics.CALIBRATION, {**labels, "bin": bin}, partial(float, accuracy))


def _tell_build(counters: Counters, labels: Mapping[str, str], made: Build) -> None:
    facts = asdict(made)
    size = facts.pop("size")
    counters.gauge(metrics.BUILD_INFO, {**labels, **facts}, partial(float, 1))
    if size is not None:
        counters.gauge(metrics.MODEL_BYTES, labels, partial(float, size))


def _build_of(reference: Reference) -> Build:
    return Build(compressed=reference.variant, runtime=reference.runtime, sha256=reference.sha256)


def _waiting(store: Pending, revision: str, variant: str) -> float:
    """How many predictions of one arm wait; those of pairs wait for both."""
    waiting = store.waiting().items()
    return sum(n for owner, n in waiting if owner.revision == revision and owner.variant in (variant, PAIR))
