"""Where the time of an inference goes: for each type of operator a bar of the baseline's and one of the variant's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from makeweight.report.plots import svg
from makeweight.report.text import elided

_ROW, _BAR, _GAP = 32.0, 9.0, 2.0
_TOP, _BOTTOM = 4.0, 6.0
_FONT = 13.0
_LONGEST_NAME = 20
_FIGURE = 62.0
"""Room for a figure beside the longest bar."""


@dataclass(frozen=True)
class Bars:
    """One type of operator: seconds of an inference."""

    name: str
    baseline: float | None
    """None: the baseline's profile is not known."""
    variant: float
    words: str


def draw(bars: Sequence[Bars], title: str, show: Callable[[float], str], *, ships: bool) -> str:
    """The chart as SVG, one row a type in the given order.

    Args:
        show: writes a time.
    """
    longest = max((value for bar in bars for value in (bar.baseline or 0.0, bar.variant)), default=0.0)
    if not (bars and math.isfinite(longest) and longest > 0):
        return svg.empty(80, title, "no operator took a time that the profiler tells")
    names = [elided(bar.name, _LONGEST_NAME) for bar in bars]
    left = max(svg.text_width(name, _FONT) for name in names) + 10
    across = (svg.WIDTH - _FIGURE - left) / longest
    parts = []
    for place, (bar, name) in enumerate(zip(bars, names, strict=True)):
        middle = _TOP + _ROW * (place + 0.5)
        inside = [svg.tooltip(bar.words), svg.text(name, left - 8, middle + 4, text_anchor="end", class_="label")]
        for value, top, kind in (
            (bar.baseline, middle - _BAR - _GAP / 2, "baseline"),
            (bar.variant, middle + _GAP / 2, "ships" if ships else "variant"),
        ):
            if not value:
                continue
            width = value * across
            if width > 0.3:
                inside.append(svg.element("rect", x=left, y=top, width=width, height=_BAR, class_=f"time {kind}"))
            inside.append(svg.text(show(value), left + width + 6, top + _BAR - 0.5, class_="figure"))
        parts.append(svg.element("g", *inside))
    height = _TOP + _ROW * len(bars) + _BOTTOM
    parts.append(svg.line("zero", [(left, _TOP), (left, height - _BOTTOM)]))
    return svg.chart(height, title, "; ".join(bar.words for bar in bars) + ".", *parts)
