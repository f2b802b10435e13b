"""The cells of one arm, stable or canary, and of pairs of the two: where each kind of event is counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from makeweight_monitors import metrics
from makeweight_monitors.metrics import (
    ANSWERED_OR_FAILED,
    FAILURES,
    LABEL_RESULTS,
    REJECTIONS,
    RIGHT_OR_WRONG,
    VARIANTS,
    Metric,
)
from makeweight_monitors.observe.classes import Classes
from makeweight_monitors.observe.counters import LATENCY_ROWS, Counters
from makeweight_monitors.observe.labelfile import PAIR, Owner

STRANGERS = 8
"""Other revisions whose labels still count."""


@dataclass(frozen=True)
class Shape:
    """What a model's series are split by."""

    classes: Classes | None
    """None: it is no classifier."""
    bins: int
    """Of the confidence; 0 for none."""
    error_bins: int
    features: Mapping[str, int]
    """Bins of each chosen feature."""
    slices: Sequence[str]
    outcomes: bool
    """Whether an answer is right or wrong: not so in regression without a tolerance."""


def bin_names(count: int) -> list[str]:
    return [f"{index:02}" for index in range(count)]


class Arm:
    """One variant of one release. Every other attribute is the index of a cell, or of the first of several."""

    def __init__(self, counters: Counters, model: str, owner: Owner, shape: Shape) -> None:
        labels, weight = owner.labels(model), owner.weight
        self.variant = owner.variant

        def at(metric: Metric, axes: Mapping[str, Sequence[str]] | None = None, **more: str) -> int:
            return counters.block(metric, {**labels, **more}, axes).at

        def by_value(metric: Metric, label: str, values: Sequence[str], **more: str) -> dict[str, int]:
            first = at(metric, {label: values}, **more)
            return {value: first + offset for offset, value in enumerate(values)}

        self.predictions = at(metrics.PREDICTIONS, weight=weight)
        self.latency = at(metrics.LATENCY, {"le": LATENCY_ROWS})
        self.latency_sum = self.latency + len(LATENCY_ROWS) - 1
        self.failed = by_value(metrics.FAILED, "reason", FAILURES, weight=weight)
        self.repeats = at(metrics.REPEATS, {"outcome": ANSWERED_OR_FAILED}, weight=weight)
        self.rejected = by_value(metrics.REJECTED, "reason", REJECTIONS)
        self.events = by_value(metrics.LABEL_EVENTS, "result", LABEL_RESULTS)
        self.expired = at(metrics.LABELS_EXPIRED)
        self.store_failures = at(metrics.LABEL_STORE_FAILURES)
        # the bins and, right behind them, the classes: a batch counts both in one go
        self.bins = at(metrics.SCORE_BIN, {"bin": bin_names(shape.bins)}) if shape.bins else 0
        outcome = {"outcome": RIGHT_OR_WRONG}
        self.classes = self.labelled_class = 0
        if shape.classes is not None:
            self.classes = shape.classes.at(metrics.PREDICTED_CLASS, labels, {})
            self.labelled_class = shape.classes.at(metrics.LABELLED_CLASS, labels, outcome)
        self.errors = at(metrics.ERROR_BIN, {"bin": bin_names(shape.error_bins)}) if shape.error_bins else 0
        self.features = {
            name: at(metrics.FEATURE_BIN, {"bin": bin_names(bins)}, feature=name)
            for name, bins in shape.features.items()
        }
        self.labelled = self.slices = self.split = 0
        if shape.outcomes:
            self.labelled = at(metrics.LABELLED, outcome)
            if shape.slices:
                self.slices = at(metrics.LABELLED_SLICE, {"slice": shape.slices, **outcome})
            if weight:
                self.split = at(metrics.SPLIT, outcome, weight=weight)


class Pair:
    """Requests of one release that both arms answered."""

    def __init__(self, counters: Counters, model: str, owner: Owner, shape: Shape) -> None:
        labels = owner.labels(model)
        both = {"stable": RIGHT_OR_WRONG, "canary": RIGHT_OR_WRONG}
        self.agree = self.labelled = self.paired = self.classes = self.slices = 0
        if not shape.outcomes:
            return
        self.agree = counters.block(metrics.SHADOW_PAIRS, labels, {"agree": ("yes", "no")}).at
        self.labelled = counters.block(metrics.SHADOW_LABELLED, labels, {"agree": ("yes", "no")}).at
        self.paired = counters.block(metrics.PAIRED, labels, both).at
        if shape.classes is not None:
            self.classes = shape.classes.at(metrics.PAIRED_CLASS, labels, both)
        if shape.slices:
            self.slices = counters.block(metrics.PAIRED_SLICE, labels, {"slice": shape.slices, **both}).at


class Arms:
    """All arms of one model that an observer counts for, made as they are needed: those of its own release, and of a
    few others, whose labels still come.

    Args:
        owner: the observer's own.
        sha256: of the model's files of its release, by variant.
    """

    def __init__(
        self, counters: Counters, model: str, owner: Owner, shape: Shape, sha256: Mapping[str, str] | None = None
    ) -> None:
        self._counters = counters
        self._model = model
        self._owner = owner
        self._sha256 = sha256 or {}
        self._shape = shape
        self._arms: dict[Owner, Arm] = {}
        self._pairs: dict[Owner, Pair] = {}
        self.own = self.arm(owner)
        """What belongs to no release is counted here too."""

    def of(self, owner: Owner) -> list[Arm]:
        """One arm, or both for a pair; none for a release of so long ago that it has no series any more."""
        if owner.release != self._owner.release:
            strangers = {one.release for one in self._arms} - {self._owner.release}
            if owner.release not in strangers and len(strangers) >= STRANGERS:
                return []
        if owner.variant != PAIR:
            return [self.arm(owner)]
        self.pair(owner)
        return self._both(owner)

    def turn(self, owner: Owner) -> None:
        """Count as another owner of the own release from now on, such as at another share of the traffic."""
        self._owner, self.own = owner, self.arm(owner)

    def both(self) -> list[Arm]:
        """Stable and canary of the own release."""
        return self._both(self._owner)

    def arm(self, owner: Owner) -> Arm:
        arm = self._arms.get(owner)
        if arm is None:
            with self._counters.making:
                arm = self._arms[owner] = Arm(self._counters, self._model, owner, self._shape)
        return arm

    def pair(self, owner: Owner) -> Pair:
        pair = self._pairs.get(owner)
        if pair is None:
            with self._counters.making:
                self._both(owner)
                pair = self._pairs[owner] = Pair(self._counters, self._model, owner, self._shape)
        return pair

    def paired(self, owner: Owner) -> Pair | None:
        """The pairs of a release, where they are counted."""
        return self._pairs.get(owner)

    def _both(self, owner: Owner) -> list[Arm]:
        """The arms of a release; of another one than the own, what it was served at is not known any more."""
        own = owner.release == self._owner.release
        sha256 = self._sha256 if own else {"canary": owner.sha256}
        weight = self._owner.weight if own else ""
        return [self.arm(replace(owner, variant=one, weight=weight, sha256=sha256.get(one, ""))) for one in VARIANTS]
