"""How a variant compares with the baseline, or with itself at the merge base: in numbers, and turned into words."""

from __future__ import annotations

import math
from dataclasses import dataclass

from makeweight.budget.metric import METRICS
from makeweight.budget.quantity import Dimension, show_beside, show_interval
from makeweight.measurement import Measurement


@dataclass(frozen=True)
class Change:
    """A variant against the baseline."""

    text: str
    """`drop 0.3 pt`, `2.40x`: a factor above 1 is smaller, faster, less; below 1 the opposite."""
    interval: str = ""
    """`[2.31, 2.52]`, in the same orientation; empty for what is exact."""
    better: bool | None = None
    """None: neither, within what can be told."""
    turned: tuple[str, str, str] | None = None
    """Figure, word and interval where a word tells the side: `1.22x`, `slower`, `[1.19, 1.25]`."""

    @property
    def figure(self) -> str:
        return self.turned[0] if self.turned else self.text

    @property
    def word(self) -> str:
        return self.turned[1] if self.turned else ""

    @property
    def bounds(self) -> str:
        return self.turned[2] if self.turned else self.interval

    @property
    def bare(self) -> str:
        """In words, without the interval: `1.22x slower`."""
        return f"{self.figure} {self.word}".rstrip()

    @property
    def words(self) -> str:
        """`1.22x slower [1.19, 1.25]`."""
        return f"{self.bare} {self.bounds}".rstrip()


def _certain(low_high: tuple[float, float] | None, value: float, neutral: float) -> bool | None:
    """Whether the figure is above `neutral`; None when the interval holds both sides."""
    low, high = low_high or (value, value)
    return None if low <= neutral <= high else low > neutral


def dropped(drop: float, interval: tuple[float, float] | None, of: Dimension, limit: float | None = None) -> Change:
    """How much worse the variant is, with the one sign that a drop has everywhere: positive is worse.

    Args:
        limit: what the drop stands beside and is not to read like, where it is not that.
    """
    worse = _certain(interval, drop, 0.0)
    around = "" if interval is None else show_interval(*interval, of)
    return Change(f"drop {show_beside(drop, limit, of)}", around, None if worse is None else not worse)


def growth(ratio: float, interval: tuple[float, float] | None, better: str) -> Change:
    """The change of an error: `+3.0 %`."""
    value, *bounds = [f"{round((number - 1) * 100, 1) + 0.0:+.1f}" for number in (ratio, *(interval or ()))]
    grown = _certain(interval, ratio, 1.0)
    side = grown if grown is None or better == "higher" else not grown
    return Change(f"{value} %", f"[{', '.join(bounds)}]" if bounds else "", side)


def factor(metric: str, of: Measurement, better: str) -> Change:
    """How many times better: variant / baseline, turned where less is better."""
    ratio = of.value or 1.0
    turned = better == "lower"
    gain, bounds = (1 / ratio, _inverted(of.interval)) if turned else (ratio, of.interval)
    text, interval = f"{_times(gain)}x", _bounds(gain, bounds)
    certain = _certain(bounds, gain, 1.0)
    # what copies of one model differ by is no difference, nor is what does not show
    if max(gain, 1 / gain) <= 1 + (of.noise_floor or 0.0) or text == "1.00x":
        exact = gain == 1 and bounds is None
        return Change(text, interval, turned=("unchanged", "", "") if exact else None)
    if certain is None:
        return Change(text, interval)
    moved = METRICS[metric].moved if metric in METRICS else None
    pair = moved or (("less", "more") if turned else ("more", "less"))
    size, around = (gain, bounds) if gain >= 1 else (1 / gain, _inverted(bounds))
    return Change(text, interval, certain, (f"{_times(size)}x", pair[0 if certain else 1], _bounds(size, around)))


def _inverted(interval: tuple[float, float] | None) -> tuple[float, float] | None:
    if interval is None:
        return None
    low, high = interval
    return (1 / high if high > 0 else math.inf, 1 / low if low > 0 else math.inf)


def _places(factor: float) -> int:
    return 2 if factor < 1.995 else 1 if factor < 9.95 else 0


def _times(factor: float) -> str:
    return f"{factor:.{_places(factor)}f}"


def _bounds(factor: float, bounds: tuple[float, float] | None) -> str:
    """An interval with the places of its factor, or so many more that its ends differ."""
    if bounds is None:
        return ""
    for places in range(_places(factor), _places(factor) + 3):
        low, high = (f"{bound:.{places}f}" for bound in bounds)
        if low != high:
            break
    return f"[{low}, {high}]"
