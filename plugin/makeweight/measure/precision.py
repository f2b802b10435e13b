"""COCO's mean average precision from matches, of many resamples at once, without matching again. Pure.

Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014, https://arxiv.org/abs/1405.0312; the 101 points of
recall and the envelope are those of its evaluation code, https://cocodataset.org/#detection-eval
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from makeweight.measure.bootstrap import Weights

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""Intersections over union from which a box counts as found."""
_RECALLS = np.linspace(0, 1, 101)
# Numbers of one block of resamples: what one class has then stays in the caches.
_BLOCK = 1 << 18


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
        classes = np.unique(self.object_label)
        figures = np.full((len(weights), len(classes), len(THRESHOLDS)), np.nan)
        for place, label in enumerate(classes):
            own = self._of(int(label))
            size = max(1, _BLOCK // max(len(own.example), 1))
            for start in range(0, len(weights), size):
                figures[start : start + size, place] = own.average_precision(weights[start : start + size])
        return figures

    def _of(self, label: int) -> _OneClass:
        own = np.flatnonzero(self.label == label)
        # equal scores stay in the order of the examples, as in the original
        own = own[np.argsort(-self.score[own], kind="stable")]
        objects = np.bincount(self.object_example[self.object_label == label], minlength=self.examples)
        return _OneClass(self.example[own], self.found[own], self.passed_over[own], objects.astype(np.float64))


@dataclass(frozen=True)
class _OneClass:
    """The detections of one class, the surest first, and its objects by example."""

    example: NDArray[np.int64]
    found: NDArray[np.uint16]
    passed_over: NDArray[np.uint16]
    objects: NDArray[np.float64]

    def average_precision(self, weights: Weights) -> NDArray[np.float64]:
        """Shape [resamples, thresholds]."""
        objects = np.rint(weights @ self.objects).astype(np.int64)
        drawn = weights[:, self.example].astype(np.int32)
        counted = np.cumsum(drawn, axis=1, dtype=np.int32)
        points = _points(objects)
        figures = np.zeros((len(weights), len(THRESHOLDS)))
        for bit in range(len(THRESHOLDS)):
            mask = np.uint16(1 << bit)
            if (self.passed_over & mask).any():
                there = np.where(self.passed_over & mask, 0, drawn)
                upto = np.cumsum(there, axis=1, dtype=np.int32)
            else:
                upto = counted
            hits = np.flatnonzero(self.found & mask)
            figures[:, bit] = _area(np.cumsum(drawn[:, hits], axis=1, dtype=np.int32), upto[:, hits], points)
        figures[objects == 0] = np.nan
        return figures


def _points(objects: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of the points of recall are reached by each number of objects found, shape [resamples, most + 1]."""
    number = np.arange(int(objects.max(initial=0)) + 1)
    recall = number[None, :] / np.maximum(objects, 1)[:, None]
    return np.searchsorted(_RECALLS, recall, side="right")


def _area(hits: NDArray[np.int32], counted: NDArray[np.int32], points: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean over the points of recall of the highest precision at that recall or a higher one.

    Precision rises with a hit only, so it is looked at there alone.

    Args:
        hits: objects found up to each hit, shape [resamples, hits].
        counted: detections up to it.
        points: see `_points`.
    """
    precision = hits / np.maximum(counted, 1)
    highest = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    reached = np.take_along_axis(points, hits.astype(np.int64), axis=1)
    newly = np.diff(reached, axis=1, prepend=0)
    area: NDArray[np.float64] = (highest * newly).sum(axis=1) / len(_RECALLS)
    return area
