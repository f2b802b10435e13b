"""What each class lost or won: bars to both sides of no change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from makeweight.budget.quantity import POINTS, show
from makeweight.report.plots import scale, svg
from makeweight.report.text import elided

_ROW, _BAR = 22.0, 12.0
_TOP, _BOTTOM = 8.0, 24.0
_FONT = 13.0
_LONGEST_NAME = 18
_FIGURE = 58.0
"""Room for a figure beside the longest bar."""


@dataclass(frozen=True)
class Bar:
    """One class: how far its accuracy dropped, as a fraction (positive: worse)."""

    name: str
    drop: float
    words: str


def draw(bars: Sequence[Bar], title: str) -> str:
    """The chart as SVG, one row a class in the given order. Classes without a finite figure are left out."""
    usable = [bar for bar in bars if math.isfinite(bar.drop)]
    if not usable:
        return svg.empty(80, title, "no class was measured")
    names = [elided(bar.name, _LONGEST_NAME) for bar in usable]
    left = max(svg.text_width(name, _FONT) for name in names) + 10
    most_lost, most_won = (max(0.0, *(sign * bar.drop for bar in usable), 0.0) for sign in (1, -1))
    least = 0.01 if most_lost + most_won < 0.01 else most_lost + most_won
    share = most_lost / (most_lost + most_won) if most_lost + most_won > 0 else 0.5
    low = -least * (1 - share) if most_won else -least * 0.02
    high = least * share if most_lost else least * 0.02
    across = scale.Scale(low, high, left + (_FIGURE if most_won else 8), svg.WIDTH - (_FIGURE if most_lost else 8))
    height = _TOP + _ROW * len(usable) + _BOTTOM
    zero, floor = across(0.0), height - _BOTTOM
    parts = [
        _row(bar, name, left, _TOP + _ROW * (place + 0.5), across)
        for place, (bar, name) in enumerate(zip(usable, names, strict=True))
    ]
    parts.append(svg.line("zero", [(zero, _TOP), (zero, floor + 4)]))
    parts.append(
        svg.text("no change", min(max(zero, 30.0), svg.WIDTH - 30), floor + 16, text_anchor="middle", class_="tick")
    )
    return svg.chart(height, title, "; ".join(bar.words for bar in usable) + ".", *parts)


def _row(bar: Bar, name: str, left: float, middle: float, across: scale.Scale) -> str:
    end, zero = across(bar.drop), across(0.0)
    parts = [svg.tooltip(bar.words), svg.text(name, left - 8, middle + 4, text_anchor="end", class_="label")]
    kind = "worse" if bar.drop > 0 else "better"
    if abs(end - zero) > 0.3:
        size = {"x": min(end, zero), "y": middle - _BAR / 2, "width": abs(end - zero), "height": _BAR}
        parts.append(svg.element("rect", class_=f"bar {kind}", **size))
    # a class that neither lost nor won has its figure on the emptier side
    to_left = bar.drop < 0 or (bar.drop == 0 and zero - left > svg.WIDTH - zero)
    beside = end - 6 if to_left else end + 6
    parts.append(
        svg.text(show(bar.drop, POINTS), beside, middle + 4, text_anchor="end" if to_left else "start", class_="figure")
    )
    return svg.element("g", *parts)
