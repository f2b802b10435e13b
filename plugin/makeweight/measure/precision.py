"""COCO's mean average precision from matches, of many resamples at once, without matching again. Pure.

Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014, https://arxiv.org/abs/1405.0312; the 101 points of
recall and the envelope are those of its evaluation code, https://cocodataset.org/#detection-eval
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from makeweight.measure.bootstrap import Weights

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""Intersections over union from which a box counts as found."""
_RECALLS = np.linspace(0, 1, 101)
Times = NDArray[np.int32]
"""How often each thing is in each resample."""
# Numbers of one block of resamples, so that what one class has stays in the caches.
_BLOCK = 1 << 17


@dataclass(frozen=True)
class Matches:
    """What was found of what there is, by example, on `examples` of them.

    Of detections, shape [detections]: `example`, `label`, `score`, and `found` and `passed_over`, whose bit t says
    whether at `THRESHOLDS[t]` it has found an object, or counts neither way (it lies in a crowd). Of the objects that
    count, shape [objects]: `object_example`, `object_label`.
    """

    example: NDArray[np.int64]
    label: NDArray[np.int64]
    score: NDArray[np.float64]
    found: NDArray[np.uint16]
    passed_over: NDArray[np.uint16]
    object_example: NDArray[np.int64]
    object_label: NDArray[np.int64]
    examples: int

    def average_precisions(self, weights: Weights) -> NDArray[np.float64]:
        """Average precision by class and threshold.

        Returns:
            shape [resamples, classes, thresholds], of the classes that have an object, in rising order; NaN where a
            resample has none of a class.
        """
        times = weights.astype(np.int32)  # running sums of integers are twice as fast
        objects = weights @ self._objects
        figures = np.full((len(times), len(self.classes), len(THRESHOLDS)), np.nan)
        for place, own in enumerate(self._apart):
            size = max(1, _BLOCK // max(len(own.example), 1))
            for start in range(0, len(times), size):
                rows = slice(start, start + size)
                figures[rows, place] = own.average_precision(times[rows], objects[rows, place])
        return figures

    @cached_property
    def classes(self) -> NDArray[np.int64]:
        """The labels that have an object, in rising order."""
        return np.unique(self.object_label)

    @cached_property
    def _objects(self) -> NDArray[np.float64]:
        """How many each example has of each class, shape [examples, classes]."""
        places = np.searchsorted(self.classes, self.object_label)
        counts = np.zeros((self.examples, len(self.classes)))
        np.add.at(counts, (self.object_example, places), 1)
        return counts

    @cached_property
    def _apart(self) -> list[_OneClass]:
        return [self._of(int(label)) for label in self.classes]

    def _of(self, label: int) -> _OneClass:
        own = np.flatnonzero(self.label == label)
        # equal scores stay in the order of the examples, as in the original
        own = own[np.argsort(-self.score[own], kind="stable")]
        return _OneClass(self.example[own], self.found[own], self.passed_over[own])


@dataclass(frozen=True)
class _OneClass:
    """The detections of one class, the surest first."""

    example: NDArray[np.int64]
    found: NDArray[np.uint16]
    passed_over: NDArray[np.uint16]

    def average_precision(self, times: Times, objects: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of resamples, shape [resamples, examples], that have so many objects of this class.

        Returns:
            shape [resamples, thresholds].
        """
        figures = np.zeros((len(objects), len(THRESHOLDS)))
        some = [bit for bit, finds in enumerate(self._finds) if len(finds)]
        if some:
            finds = np.concatenate([self._finds[bit] for bit in some])
            ends = np.cumsum([len(self._finds[bit]) for bit in some])
            drawn = np.take(times, self.example, axis=1)
            of_finds = np.take(drawn, finds, axis=1)
            figures[:, some] = _areas(of_finds, self._counted(drawn, some), ends, _points(objects))
        figures[objects == 0] = np.nan
        return figures

    @cached_property
    def _finds(self) -> list[NDArray[np.int64]]:
        """By threshold, the detections that find an object. Precision rises with these only, and is looked at there
        alone."""
        return [np.flatnonzero(self.found & np.uint16(1 << bit)) for bit in range(len(THRESHOLDS))]

    def _counted(self, drawn: Times, bits: list[int]) -> Times:
        """How many detections there are up to each find, at one threshold after the other, shape [resamples, finds].

        Args:
            drawn: how often each detection was, shape [resamples, detections].
        """
        upto = np.cumsum(drawn, axis=1, dtype=np.int32)
        counted = []
        for bit in bits:
            counts = (self.passed_over & np.uint16(1 << bit)) == 0
            these = upto if counts.all() else np.cumsum(drawn * counts, axis=1, dtype=np.int32)
            counted.append(np.take(these, self._finds[bit], axis=1))
        return np.concatenate(counted, axis=1)


def _points(objects: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many objects have to be found for each point of recall, at least one; shape [resamples, points].

    A point is reached as the original has it, where found / objects is not less in floating point.
    """
    wanted, of = _RECALLS, objects[:, None]

    def short(found: NDArray[np.float64]) -> NDArray[np.bool_]:
        return np.divide(found, of, out=np.ones_like(found), where=of > 0) < wanted

    # rounding may have left it one too low, or one too high
    least = np.ceil(wanted * of)
    least = np.where(short(least), least + 1, least)
    least = np.where(short(least - 1), least, least - 1)
    return np.maximum(least, 1).astype(np.int64)


def _areas(drawn: Times, counted: Times, ends: NDArray[np.int64], points: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean over the points of recall of the highest precision at that recall or a higher one.

    Args:
        drawn: how often each find was drawn, at one threshold after the other, shape [resamples, finds].
        counted: detections up to it.
        ends: where the finds of each threshold end, of which each has some.
        points: see `_points`.

    Returns:
        shape [resamples, thresholds].
    """
    found = np.cumsum(drawn, axis=1, dtype=np.int32)
    upto = found[:, ends - 1]
    before = np.concatenate([np.zeros_like(upto[:, :1]), upto[:, :-1]], axis=1)
    np.maximum(counted, 1, out=counted)  # nothing was found where nothing was counted
    highest = np.empty(found.shape)
    for start, end, less in zip([0, *ends], ends, before.T, strict=False):
        backwards = highest[:, start:end][:, ::-1]
        np.divide(found[:, start:end] - less[:, None], counted[:, start:end], out=highest[:, start:end])
        np.maximum.accumulate(backwards, axis=1, out=backwards)
    # where each object that was found was, in all resamples one after the other
    places = np.repeat(np.arange(drawn.size, dtype=np.int32), drawn.ravel())
    if len(places) == 0:
        return np.zeros(upto.shape)
    rows = np.cumsum(upto[:, -1], dtype=np.int64) - upto[:, -1]
    reached = points[:, None] <= (upto - before)[..., None]
    nth = (rows[:, None] + before)[..., None] + points[:, None] - 1
    precision = highest.ravel()[places[np.where(reached, nth, 0)]]
    return np.asarray(np.where(reached, precision, 0.0).sum(axis=-1) / len(_RECALLS))
