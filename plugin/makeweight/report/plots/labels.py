"""Places for labels beside their points, so that none lies on another label or on a point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A rectangle: left, top, right, bottom."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """The area that two boxes share."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, across) * max(0.0, down)


_ANGLES = (0, 180, 270, 90, 315, 45, 225, 135, 292, 68, 248, 112)
"""Directions in the order of preference, degrees clockwise from the right: right, left, above, below, corners."""
_HIDDEN, _CROSSED = 1000.0, 0.5
"""What it costs, in units of distance, to hide a unit of area of a label or a point, and of a line."""
_DISTANCES = (9, 15, 24, 36, 50, 66, 84, 104, 126, 150)


def place(
    anchors: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    bounds: Box,
    *,
    radius: float = 6.0,
    lines: Sequence[Box] = (),
) -> list[Box]:
    """Where each label (width, height) goes: near its anchor, within bounds, clear of the others if that is possible.

    `lines` are crossed only rather than going far away. Greedy, in the given order, so put first what matters most;
    the same input gives the same places.
    """
    points = [Box(x - radius, y - radius, x + radius, y + radius) for x, y in anchors]
    found: list[Box] = []
    for (x, y), (width, height) in zip(anchors, sizes, strict=True):
        best, least = None, math.inf
        for distance, box in _candidates(x, y, width, height, bounds):
            if distance >= least:
                break
            hidden = sum(box.overlap(other) for other in (*found, *points))
            cost = distance + _HIDDEN * hidden + _CROSSED * sum(box.overlap(line) for line in lines)
            if cost < least:
                best, least = box, cost
        assert best is not None  # noqa: S101 - the first candidate costs less than infinity
        found.append(best)
    return found


def _candidates(x: float, y: float, width: float, height: float, bounds: Box) -> list[tuple[float, Box]]:
    """Boxes around a point by rising distance, moved inside the bounds."""
    found = []
    for distance in _DISTANCES:
        for rank, angle in enumerate(_ANGLES):
            across, down = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            # the box touches the circle of that distance with the side or corner that faces the point
            centre_x = x + across * distance + _sign(across) * width / 2
            centre_y = y + down * distance + _sign(down) * height / 2
            left = min(max(centre_x - width / 2, bounds.left), max(bounds.left, bounds.right - width))
            top = min(max(centre_y - height / 2, bounds.top), max(bounds.top, bounds.bottom - height))
            found.append((distance + rank / 100, Box(left, top, left + width, top + height)))
    return found


def _sign(value: float) -> float:
    return 0.0 if abs(value) < 0.2 else math.copysign(1.0, value)
