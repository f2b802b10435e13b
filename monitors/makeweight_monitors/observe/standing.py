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
from makeweight_monitors.observe.labelfile import PAIR, Owner
from makeweight_monitors.observe.pending import Pending
from makeweight_monitors.reference import Reference

_OF_ARMS_THAT_SERVE = (
    metrics.UP, metrics.DECLARED_SHARE, metrics.EPOCH, metrics.CALIBRATION, metrics.REFERENCE_SHARE, metrics.BUILD_INFO,
    metrics.MODEL_BYTES,
)  # fmt: skip


def builds(told: Mapping[str, Build], references: Mapping[str, Reference]) -> dict[str, Build]:
    """What is served, by variant: as its manifest has it, else its reference."""
    known = {
        variant: Build(compressed=one.variant, runtime=one.runtime, sha256=one.sha256)
        for variant, one in references.items()
    }
    return known | dict(told)


def tell(
    counters: Counters,
    model: str,
    owners: Mapping[str, Owner],
    arms: Sequence[str],
    references: Mapping[str, Reference],
    builds: Mapping[str, Build],
    store: Pending | None,
) -> None:
    """Put the gauges of one release beside its counters.

    Args:
        owners: of both variants.
        arms: the variants that are counted here.
        references, builds: of the variants for which there is one.
        store: of what waits for labels.
    """
    for variant in arms:
        owner = owners[variant]
        labels = owner.labels(model)
        counters.gauge(metrics.UP, labels, lambda: counters.began)
        if store is not None:
            counters.gauge(metrics.LABELS_PENDING, labels, partial(_waiting, store, owner))
    for variant, reference in references.items():
        _tell_reference(counters, owners[variant].labels(model), reference)
    for variant, made in builds.items():
        _tell_build(counters, owners[variant].labels(model), made)


def tell_step(counters: Counters, model: str, owner: Owner, epoch: int | None) -> None:
    """The share of the traffic, and the step of the rollout, that one arm of a process was told."""
    labels = owner.labels(model)
    if owner.weight:
        counters.gauge(metrics.DECLARED_SHARE, labels, partial(float, owner.weight))
    else:  # with all or none of the traffic it has no share that could be held against what it gets
        counters.drop_gauges(labels, metrics.DECLARED_SHARE)
    if epoch is not None:
        counters.gauge(metrics.EPOCH, labels, partial(float, epoch))


def untell(counters: Counters, labels: Mapping[str, str]) -> None:
    """Of an arm that serves no more nothing is told, but for what it counted and what waits for its labels: else it
    would be taken for one that serves for as long as the process lives.
    """
    counters.drop_gauges(labels, *_OF_ARMS_THAT_SERVE)


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


def _waiting(store: Pending, arm: Owner) -> float:
    """How many predictions of one arm wait; those of pairs wait for both."""
    waiting = store.waiting().items()
    return sum(n for owner, n in waiting if owner.release == arm.release and owner.variant in (arm.variant, PAIR))
