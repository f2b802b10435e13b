"""What a tensor held, counted in bins that lie fixed, and the range that is chosen of that."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.runtimes.format import Observer

# Bins from the largest number with a minus to the same without.
BINS = 4096
# Of so many bins, which the search merges down to 128; of those 128 alone it could cut none away.
ENTROPY_BINS, _ENTROPY_LEVELS = 512, 128
# The share of values that percentiles keep.
_KEPT = 0.99999
# Of an 8-bit range.
_STEPS = 255
# One edge in so many is tried as an end of the range with the least squared error.
_PITCH = 8
# What takes the place of an empty bin where information is divided by it.
_EPSILON = 1e-4


class Histogram:
    """Counts of a tensor's values, which lie between two finite numbers. They only add up, so no order counts."""

    def __init__(self, lowest: float, highest: float) -> None:
        self.lowest, self.highest = lowest, highest
        self.counts: NDArray[np.int64] = np.zeros(BINS, np.int64)
        self.zeros = 0
        """How many were exactly zero, which every range has as one of its steps."""

    @property
    def edges(self) -> NDArray[np.float64]:
        largest = max(-self.lowest, self.highest)
        return np.linspace(-largest, largest, BINS + 1)

    def add(self, values: NDArray[Any]) -> None:
        edges = self.edges
        if edges[-1] > 0:
            self.counts += np.histogram(values, BINS, (edges[0], edges[-1]))[0]
        self.zeros += int(np.count_nonzero(values == 0))


def chosen(observer: Observer, histogram: Histogram) -> tuple[float, float]:
    """The range that an observer chooses, within that of the values."""
    ends = {"percentile": _percentile, "entropy": _entropy, "mse": _least_squares}
    if observer == "minmax" or not histogram.counts.any():
        return histogram.lowest, histogram.highest
    lowest, highest = ends[observer](histogram)
    return max(lowest, histogram.lowest), min(highest, histogram.highest)


def _percentile(histogram: Histogram) -> tuple[float, float]:
    """The same to both sides: the first edge within which that share of the values lies."""
    half = BINS // 2
    sizes = histogram.counts[half:] + histogram.counts[:half][::-1]
    index = int(np.searchsorted(np.cumsum(sizes), _KEPT * sizes.sum()))
    end = float(histogram.edges[half + 1 + index])
    return -end, end


def _entropy(histogram: Histogram) -> tuple[float, float]:
    """The range whose steps lose least information (Migacz, "8-bit Inference with TensorRT", GTC 2017): found as by
    ONNX Runtime's search, whose sums in Python take seven times as long."""
    counts = histogram.counts.reshape(ENTROPY_BINS, -1).sum(axis=1)
    edges = histogram.edges[:: BINS // ENTROPY_BINS].astype(np.float32)
    half = ENTROPY_BINS // 2
    reaches = range(_ENTROPY_LEVELS // 2, half + 1)
    tried = [(half - reach, min(half + reach + 1, ENTROPY_BINS)) for reach in reaches]
    start, end = tried[int(np.argmin([_lost(counts, *each) for each in tried]))]
    return float(edges[start]), float(edges[end])


def _lost(counts: NDArray[np.int64], start: int, end: int) -> np.float32:
    """The divergence of what so many levels tell of the bins from `start` to `end` from what those hold, with all that
    lies beyond in the first and the last. What does not divide by the number of levels goes to the last of them."""
    within = counts[start:end]
    held = within.copy()
    held[0] += counts[:start].sum()
    held[-1] += counts[end:].sum()
    size = len(within) // _ENTROPY_LEVELS
    whole = size * _ENTROPY_LEVELS
    levels = within[:whole].reshape(_ENTROPY_LEVELS, size).sum(axis=1)
    levels[-1] += within[whole:].sum()
    filled = np.count_nonzero(held[:whole].reshape(_ENTROPY_LEVELS, size), axis=1)
    told = np.zeros_like(held)
    told[:whole] = np.repeat(np.where(filled > 0, levels // np.maximum(filled, 1), 0), size)
    if not told.any():
        return np.float32(np.inf)
    p, q = (each / each.sum() for each in map(_smoothed, (held, told)))
    lost: np.float32 = (p * np.log(p / q)).sum()
    return lost


def _smoothed(counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Without empty bins: what they get is taken off the others."""
    empty = counts == 0
    many = int(np.count_nonzero(empty))
    taken = np.float32(_EPSILON * many / (len(counts) - many))
    return np.where(empty, np.float32(_EPSILON), counts.astype(np.float32) - taken)


def _least_squares(histogram: Histogram) -> tuple[float, float]:
    """The range with zero in it that has the least squared error: of what lies within, the variance of rounding, a
    twelfth of a squared step (Nagel et al. 2021), of what lies without, the squared distance to its end."""
    edges, counts = histogram.edges, histogram.counts.astype(np.float64)
    centres = (edges[1:] + edges[:-1]) / 2
    tried = edges[::_PITCH]
    lower, upper = tried[tried <= 0], tried[tried >= 0]
    lower = np.unique(np.maximum(lower, min(histogram.lowest, 0)))
    upper = np.unique(np.minimum(upper, max(histogram.highest, 0)))

    def beyond(distances: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        out = np.maximum(distances, 0)
        return np.square(out) @ counts, (out > 0) @ counts

    below, many_below = beyond(lower[:, None] - centres)
    above, many_above = beyond(centres - upper[:, None])
    within = counts.sum() - histogram.zeros - many_below[:, None] - many_above
    rounding = np.square((upper - lower[:, None]) / _STEPS) / 12 * np.maximum(within, 0)
    # a range of nothing has no steps
    error = np.where(upper > lower[:, None], below[:, None] + above + rounding, np.inf)
    at = np.unravel_index(np.argmin(error), error.shape)
    return float(lower[at[0]]), float(upper[at[1]])
