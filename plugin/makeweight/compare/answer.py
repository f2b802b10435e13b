"""Is B slower than A allows? Pure functions of the raw times."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from makeweight.bench import sitting
from makeweight.bench.sitting import Ratio
from makeweight.measure.latency import meaningless, medians, too_coarse
from makeweight.measure.timings import Timings

Verdict = Literal["over", "within", "inconclusive"]
_LONGEST = 3600.0
"""Seconds of measuring that anyone would wait for."""


@dataclass(frozen=True)
class Answer:
    """Ratios are time(B)/time(A)."""

    verdict: Verdict
    max_ratio: float
    ratio: Ratio | None
    """None: no time counts that was taken, for the `reason`."""
    taken: Timings
    seconds_needed: float | None = None
    """How long to measure for an answer; None when there is one, or no time would give one."""
    reason: str | None = None

    @property
    def seconds_of(self) -> dict[str, float]:
        """The usual time of one inference of `a` and `b`; empty where no time counts."""
        return {} if self.ratio is None else medians(self.taken)

    @property
    def within_the_floor(self) -> bool:
        return self.ratio is not None and _within_the_floor(self.ratio, self.max_ratio)


def answer(taken: Timings, limit: float, seconds: float) -> Answer:
    """What the times say.

    Args:
        seconds: how long it was allowed to take.
    """
    reason = meaningless(taken) or too_coarse(taken)
    if reason is not None:
        return Answer("inconclusive", limit, None, taken, reason=reason)
    ratio = sitting.ratio_of(taken)
    if ratio.above(limit) or ratio.below(limit):
        return Answer("over" if ratio.above(limit) else "within", limit, ratio, taken)
    return Answer("inconclusive", limit, ratio, taken, _needed(ratio, limit, seconds))


def _needed(ratio: Ratio, limit: float, seconds: float) -> float | None:
    distance = abs(math.log(ratio.value / limit))
    if _within_the_floor(ratio, limit):
        return None
    low, high = ratio.interval
    if not (low > 0 and math.isfinite(high)):
        return seconds * 4
    half = max(math.log(high / ratio.value), math.log(ratio.value / low))
    needed = seconds * max(2.0, 1.5 * (half / distance) ** 2)
    return math.ceil(needed) if needed <= _LONGEST else None


def _within_the_floor(ratio: Ratio, limit: float) -> bool:
    return abs(math.log(ratio.value / limit)) <= math.log1p(ratio.noise_floor)
