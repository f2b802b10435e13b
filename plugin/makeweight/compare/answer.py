"""Is B slower than A allows? Pure functions of the raw times."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from makeweight.bench import sitting
from makeweight.measure.latency import median_ratio, medians, noise_floor
from makeweight.measure.timings import Timings

Verdict = Literal["over", "within", "inconclusive"]
_LONGEST = 3600.0
"""Seconds of measuring that anyone would wait for."""


@dataclass(frozen=True)
class Answer:
    """Ratios are time(B)/time(A)."""

    verdict: Verdict
    max_ratio: float
    ratio: float
    interval: tuple[float, float]
    noise_floor: float
    taken: Timings
    seconds_needed: float | None
    """How long to measure for an answer; None when there is one, or no time would give one."""

    @property
    def seconds_of(self) -> dict[str, float]:
        """The usual time of one inference of `a` and `b`."""
        return medians(self.taken)

    @property
    def within_the_floor(self) -> bool:
        return _within_the_floor(self.ratio, self.max_ratio, self.noise_floor)


def answer(taken: Timings, limit: float, seconds: float) -> Answer:
    """What the times say.

    Args:
        seconds: how long it was allowed to take.
    """
    ratio, interval = median_ratio(taken)
    floor = noise_floor(taken)
    verdict: Verdict = "inconclusive"
    if sitting.settled(taken, (limit,)):
        verdict = "over" if ratio > limit else "within"
    needed = _needed(ratio, interval, limit, floor, seconds) if verdict == "inconclusive" else None
    return Answer(verdict, limit, ratio, interval, floor, taken, needed)


def _needed(ratio: float, interval: tuple[float, float], limit: float, floor: float, seconds: float) -> float | None:
    distance = abs(math.log(ratio / limit))
    if _within_the_floor(ratio, limit, floor):
        return None
    low, high = interval
    if not (low > 0 and math.isfinite(high)):
        return seconds * 4
    half = max(math.log(high / ratio), math.log(ratio / low))
    needed = seconds * max(2.0, 1.5 * (half / distance) ** 2)
    return math.ceil(needed) if needed <= _LONGEST else None


def _within_the_floor(ratio: float, limit: float, floor: float) -> bool:
    return abs(math.log(ratio / limit)) <= math.log1p(floor)
