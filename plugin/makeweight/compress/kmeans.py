"""k-means of numbers on a line, where clusters are stretches of the sorted values.

Lloyd, "Least squares quantization in PCM", 1982, https://doi.org/10.1109/TIT.1982.1056489
"""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Turns, at most; all but the first few move values by less than their own spread.
_TURNS = 100


def means(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """At most `count` numbers, rising, so that the squared distances of the values from the nearest are small.

    It begins with stretches that were cut in two, again and again where that wins most, which does justice to many
    small values and to the few large ones. Of values that are no more than `count` different ones, those.

    Args:
        values: shape [n], finite, at least one.
    """
    ordered = np.sort(values)
    different = np.unique(ordered)
    if len(different) <= count:
        return different
    totals = np.concatenate([[0.0], np.cumsum(ordered)])  # of the values before each place
    return _settled(ordered, totals, _cut(totals, count))


def nearest(values: NDArray[np.float64], table: NDArray[Any]) -> NDArray[np.int64]:
    """Which number of a rising table is nearest to each value."""
    return np.searchsorted((table[1:] + table[:-1]) / 2, values)


def _cut(totals: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The means of as many stretches of sorted values."""

    def won(low: int, high: int) -> tuple[float, int, int, int]:
        """What the best cut of a stretch wins, negative as the heap has the least first; the stretch and the cut."""
        cuts = np.arange(low + 1, high)
        if not len(cuts):
            return 0.0, low, high, low
        below, whole = totals[cuts] - totals[low], totals[high] - totals[low]
        wins = below**2 / (cuts - low) + (whole - below) ** 2 / (high - cuts) - whole**2 / (high - low)
        best = int(wins.argmax())
        return -float(wins[best]), low, high, int(cuts[best])

    stretches = [won(0, len(totals) - 1)]
    while len(stretches) < count and stretches[0][0] < 0:
        _, low, high, cut = heapq.heappop(stretches)
        heapq.heappush(stretches, won(low, cut))
        heapq.heappush(stretches, won(cut, high))
    return np.array(sorted((totals[high] - totals[low]) / (high - low) for _, low, high, _ in stretches))


def _settled(
    ordered: NDArray[np.float64], totals: NDArray[np.float64], start: NDArray[np.float64]
) -> NDArray[np.float64]:
    table = np.unique(start)
    for _ in range(_TURNS):
        edges = np.searchsorted(ordered, (table[1:] + table[:-1]) / 2)
        edges = np.concatenate([[0], edges, [len(ordered)]])
        counts = np.diff(edges)
        held = counts > 0  # a number that is nearest to nothing is none
        moved = np.diff(totals[edges])[held] / counts[held]
        if len(moved) == len(table) and np.array_equal(moved, table):
            break
        table = moved
    return table
