"""The Pareto front: what nothing else beats in both respects."""

from __future__ import annotations

import math
from collections.abc import Sequence


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the points (cost, quality) that no other dominates, by rising cost. Less cost is better, more quality.

    A point dominates another when it is at least as good in both and better in one, so equal points stand together.
    Points with a NaN are on no front. O(n log n).
    """
    usable = [i for i, (cost, quality) in enumerate(points) if not (math.isnan(cost) or math.isnan(quality))]
    best = -math.inf
    unbeaten: list[int] = []
    for i in sorted(usable, key=lambda i: (points[i][0], -points[i][1])):
        if points[i][1] > best or (unbeaten and points[unbeaten[-1]] == points[i]):
            unbeaten.append(i)
            best = points[i][1]
    return unbeaten
