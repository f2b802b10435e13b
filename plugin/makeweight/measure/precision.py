"""COCO's mean average precision from matches, of many resamples at once, without matching again. Pure.

Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014, https://arxiv.org/abs/1405.0312; the 101 points of
recall and the envelope are those of its evaluation code, https://cocodataset.org/#detection-eval
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from makeweight.measure import scan
from makeweight.measure.bootstrap import Weights

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""Intersections over union from which a box counts as found."""
_RECALLS = np.linspace(0, 1, 101)
# Numbers of one block of resamples, so that what one class has stays in the caches; and how many at least.
_BLOCK, _COLUMNS = 1 << 18, 64


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
        classes, columns = np.unique(self.object_label), np.ascontiguousarray(weights.T)
        figures = np.full((len(weights), len(classes), len(THRESHOLDS)), np.nan)
        for place, label in enumerate(classes):
            own = self._of(int(label))
            size = max(_COLUMNS, _BLOCK // max(len(own.example), 1))
            for start in range(0, len(weights), size):
                some = columns[:, start : start + size]
                figures[start : start + size, place] = own.average_precision(some)
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

    def average_precision(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of resamples, shape [examples, resamples].

        Returns:
            shape [resamples, thresholds].
        """
        objects = self.objects @ columns
        drawn = columns[self.example]
        counted = scan.sums(drawn.copy())
        points = _points(objects)
        figures = np.zeros((len(objects), len(THRESHOLDS)))
        for bit in range(len(THRESHOLDS)):
            mask = np.uint16(1 << bit)
            hits = np.flatnonzero(self.found & mask)
            upto = counted
            if (self.passed_over & mask).any():
                upto = scan.sums(np.where((self.passed_over & mask)[:, None] > 0, 0.0, drawn))
            figures[:, bit] = _area(scan.sums(drawn[hits]), upto[hits], points)
        figures[objects == 0] = np.nan
        return figures


def _points(objects: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many of the points of recall are reached by each number of objects found, shape [most + 1, resamples].

    A point is reached as the original has it, where found / objects is not less in floating point.
    """
    wanted = _RECALLS[:, None]

    def short(found: NDArray[np.float64]) -> NDArray[np.bool_]:
        return np.divide(found, objects, out=np.ones_like(found), where=objects > 0) < wanted

    # rounding may have left it one too low, or one too high
    least = np.ceil(wanted * objects)
    least = np.where(short(least), least + 1, least)
    least = np.where(short(least - 1), least, least - 1)
    places = np.maximum(least, 0).astype(np.int64) * len(objects) + np.arange(len(objects))
    most = int(objects.max(initial=0)) + 2
    reached = np.bincount(places.ravel(), minlength=most * len(objects)).reshape(-1, len(objects)).astype(np.float64)
    return scan.sums(reached)


def _area(hits: NDArray[np.float64], counted: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over the points of recall of the highest precision at that recall or a higher one, by resample.

    Precision rises with a hit only, so it is looked at there alone.

    Args:
        hits: objects found up to each hit, shape [hits, resamples].
        counted: detections up to it.
        points: see `_points`.
    """
    if len(hits) == 0:
        return np.zeros(hits.shape[1])
    precision = np.divide(hits, counted, out=np.zeros_like(hits), where=counted > 0)
    highest = scan.maxima(precision[::-1].copy())[::-1]
    reached = np.take(points.ravel(), (hits * hits.shape[1] + np.arange(hits.shape[1])).astype(np.int64))
    area: NDArray[np.float64] = np.einsum("ij,ij->j", highest, reached)
    area -= np.einsum("ij,ij->j", highest[1:], reached[:-1])
    return area / len(_RECALLS)
