"""From figures to places on an axis, and the round numbers to mark on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LOGARITHMIC_FROM = 5.0
"""Highest / lowest from which an axis of amounts is logarithmic: equal factors, equal distances."""


@dataclass(frozen=True)
class Scale:
    """Maps [low, high] to [start, end]. `start` may lie beyond `end`, as up the page."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """A place on the axis; what lies beyond its ends is put there."""
        low, high, at = (math.log(v) if self.logarithmic else v for v in (self.low, self.high, self._within(value)))
        return self.start + (self.end - self.start) * (at - low) / (high - low)

    def _within(self, value: float) -> float:
        return min(max(value, self.low), self.high)

    def ticks(self, most: int = 6) -> list[float]:
        """Round numbers within the axis, no more than `most`."""
        for candidates in _logarithmic(self.low, self.high) if self.logarithmic else _linear(self.low, self.high):
            inside = [tick for tick in candidates if self.low <= tick <= self.high]
            if len(inside) <= most:
                return inside
        return []


def amounts(values: Sequence[float], start: float, end: float, *, pad: float = 0.12) -> Scale:
    """An axis for positive amounts such as bytes or seconds: logarithmic when they differ much.

    Raises:
        ValueError: nothing finite to show.
    """
    usable = _usable(values)
    low, high = min(usable), max(usable)
    if low > 0 and high / low >= LOGARITHMIC_FROM:
        stretch = (high / low) ** pad
        return Scale(low / stretch, high * stretch, start, end, logarithmic=True)
    return around(usable, start, end, least=max(abs(high) * 0.2, 1e-12), pad=pad)


def around(
    values: Sequence[float], start: float, end: float, *, least: float, most: float = math.inf, pad: float = 0.12
) -> Scale:
    """A linear axis around values, spanning at least `least`, so that small differences are not blown up.

    Args:
        most: what no value can exceed; the axis ends there.

    Raises:
        ValueError: nothing finite to show.
    """
    usable = [min(value, most) for value in _usable(values)]
    low, high = min(usable), max(usable)
    least = max(least, 1e-9 * abs(high), 1e-12)  # an axis of no length has no places
    missing = max(0.0, least - (high - low)) / 2
    high = min(high + missing, most)
    low = min(low - missing, high - least)
    edge = (high - low) * pad
    return Scale(low - edge, min(high + edge, most), start, end)


def _linear(low: float, high: float) -> list[list[float]]:
    """Ticks at 1, 2 or 5 times a power of ten, finest first."""
    power = math.floor(math.log10((high - low) / 20))
    found = []
    for exponent in range(power, power + 4):
        for base in (1, 2, 5):
            step = base * 10.0**exponent
            first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
            if last - first < 50:
                found.append([round(step * i, 12 - exponent if exponent < 0 else 12) for i in range(first, last + 1)])
    return found


def _logarithmic(low: float, high: float) -> list[list[float]]:
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    dense = [
        [base * 10.0**e for e in exponents for base in bases] for bases in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3))
    ]
    sparse = [[10.0**e for e in exponents if e % step == 0] for step in (1, 2, 3, 5, 10)]
    return dense + sparse


def _usable(values: Sequence[float]) -> list[float]:
    usable = [value for value in values if math.isfinite(value)]
    if not usable:
        raise ValueError("no value to make an axis of")
    return usable
