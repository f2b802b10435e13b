"""How a variant compares with the baseline, or with itself at the merge base: in numbers, and turned into words."""

from __future__ import annotations

import math
from dataclasses import dataclass

from makeweight.budget.metric import METRICS
from makeweight.budget.quantity import FRACTION, Dimension
from makeweight.measurement import Measurement


@dataclass(frozen=True)
class Change:
    """A variant against the baseline."""

    text: str
    """`-0.3 pt`, `2.40x`: a factor above 1 is smaller, faster, less; below 1 the opposite."""
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


def difference(drop: float, interval: tuple[float, float] | None, of: Dimension, better: str) -> Change:
    """Variant - baseline, from a drop, which is positive when the variant is worse."""
    risen = _certain(interval, drop, 0.0)
    numbers = [drop, *(interval or ())]
    if better == "higher":
        numbers = [-drop, *(-end for end in reversed(interval or ()))]
    if of == FRACTION:
        points = [number * 100 for number in numbers]
        places = 2 if 0 < max(map(abs, points)) < 0.1 else 1
        shown, unit = [_signed(number, places) for number in points], " pt"
    else:
        shown, unit = [f"{number:+.3g}" for number in numbers], ""
    return _change(shown, unit, None if risen is None else not risen)


def growth(ratio: float, interval: tuple[float, float] | None, better: str) -> Change:
    """The change of an error: `+3.0 %`."""
    shown = [_signed((number - 1) * 100, 1) for number in (ratio, *(interval or ()))]
    grown = _certain(interval, ratio, 1.0)
    return _change(shown, " %", grown if grown is None or better == "higher" else not grown)


def _change(shown: list[str], unit: str, better: bool | None) -> Change:
    value, *bounds = shown
    return Change(value + unit, f"[{', '.join(bounds)}]" if bounds else "", better)


def _signed(number: float, places: int) -> str:
    return f"{0.0 if round(number, places) == 0 else number:+.{places}f}"


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
