"""Throughput over batch sizes: a panel a model, side by side on one axis, with a line for each number of threads."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from makeweight.report.plots import scale, svg
from makeweight.report.text import elided

HEIGHT = 268.0
_LEFT, _TOP, _BOTTOM = 50.0, 52.0, 44.0
_LABELS, _GAP = 26.0, 20.0
"""Room for the labels at the ends of lines, and between panels."""
_LONGEST_NAME = 20
_APART = 13.0
"""Between the baselines of two labels."""
_MOST_WHISKERS = 12
_REACH = 1.3
"""How many times the highest figure an interval may end at and still stretch the axis."""


@dataclass(frozen=True)
class Point:
    """One cell."""

    at: int
    """Its place on the axis across: a batch size, or a number of threads."""
    value: float
    interval: tuple[float, float] | None
    words: str
    best: bool
    """Whether it is the highest of its model."""


@dataclass(frozen=True)
class Line:
    """One number of threads."""

    label: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Panel:
    """One model."""

    name: str
    kind: Literal["baseline", "variant", "ships"]
    lines: Sequence[Line]


def draw(
    panels: Sequence[Panel],
    title: str,
    across: str,
    beside: str,
    tick: Callable[[float], str],
    show: Callable[[float], str],
) -> str:
    """The chart as SVG. Points that are no positive number are left out; with none left, it says so.

    Args:
        across: what the axis across is of.
        beside: what the labels at the ends of lines are numbers of; empty where they have none.
        tick: writes a number on an axis.
        show: writes a figure.
    """
    clean = [_usable(panel) for panel in panels]
    points = [point for panel in clean for line in panel.lines for point in line.points]
    if not points:
        return svg.empty(80, title, "nothing was measured")
    places = sorted({point.at for point in points})
    ends = [end for point in points for end in (point.value, *(point.interval or ()))]
    # an interval that nothing was known of must not press the figures together
    reach = min(max(ends), _REACH * max(point.value for point in points))
    up = scale.Scale(0.0, reach * 1.1, HEIGHT - _BOTTOM, _TOP)
    wide = (svg.WIDTH - _LEFT - len(clean) * _LABELS - (len(clean) - 1) * _GAP) / len(clean)
    starts = [_LEFT + place * (wide + _LABELS + _GAP) for place in range(len(clean))]
    parts = [_axis_up(up, title, tick, starts, wide)]
    for panel, start in zip(clean, starts, strict=True):
        over = scale.Scale(places[0] / 1.15, places[-1] * 1.15, start, start + wide, logarithmic=True)
        parts.append(_panel(panel, over, up, places, beside, show))
    steps = ", logarithmic" if len(places) > 1 else ""
    parts.append(svg.text(f"{across}{steps}", svg.WIDTH - _LABELS, HEIGHT - 6, text_anchor="end", class_="title"))
    words = [point.words for point in points]
    return svg.chart(HEIGHT, title, "; ".join(words) + ".", *parts)


def _usable(panel: Panel) -> Panel:
    def good(point: Point) -> bool:
        numbers = (point.value, *(point.interval or ()))
        return point.at > 0 and point.value > 0 and all(map(math.isfinite, numbers))

    lines = [Line(line.label, [point for point in line.points if good(point)]) for line in panel.lines]
    return Panel(panel.name, panel.kind, [line for line in lines if line.points])


def _axis_up(up: scale.Scale, title: str, tick: Callable[[float], str], starts: Sequence[float], wide: float) -> str:
    parts = [svg.text(f"↑ {title}", 0.0, 14.0, class_="title")]
    for value in up.ticks(5):
        y = up(value)
        parts += [svg.line("grid" if value else "axis", [(start, y), (start + wide, y)]) for start in starts]
        parts.append(svg.text(tick(value), _LEFT - 8, y + 4, text_anchor="end", class_="tick"))
    return "".join(parts)


def _panel(
    panel: Panel,
    over: scale.Scale,
    up: scale.Scale,
    places: Sequence[int],
    beside: str,
    show: Callable[[float], str],
) -> str:
    start, end = over.start, over.end
    named = "label ships" if panel.kind == "ships" else "label"
    parts = [
        svg.text(elided(panel.name, _LONGEST_NAME), start, _TOP - 16, class_=named),
        _axis_across(over, up, places),
    ]
    count = sum(len(line.points) for line in panel.lines)
    runs = ([(over(point.at), up(point.value)) for point in line.points] for line in panel.lines)
    parts += [svg.line(f"run {panel.kind}", run) for run in runs]
    # the best last, on top of what it lies on
    for point in sorted((point for line in panel.lines for point in line.points), key=lambda point: point.best):
        x, y = over(point.at), up(point.value)
        inside = [svg.tooltip(point.words)]
        if point.interval is not None and count <= _MOST_WHISKERS:
            inside.append(svg.line("whisker", [(x, up(end)) for end in point.interval]))
        kind = f"mark {panel.kind} {'on' if point.best else 'off'}"
        inside.append(svg.element("circle", cx=x, cy=y, r=4.5 if point.best else 3.2, class_=kind))
        parts.append(svg.element("g", *inside, svg.element("circle", cx=x, cy=y, r=11, class_="reach")))
        if point.best:
            anchor = "start" if x < start + 30 else "end" if x > end - 30 else "middle"
            parts.append(svg.text(show(point.value), x, y - 10, text_anchor=anchor, class_=named))
    if beside:
        parts.append(svg.text(beside, end + _LABELS, _TOP - 16, text_anchor="end", class_="tick"))
        parts += _labels(panel.lines, end + 7, up)
    return "".join(parts)


def _axis_across(over: scale.Scale, up: scale.Scale, places: Sequence[int]) -> str:
    parts, reached = [], -math.inf
    for place in places:
        x, label = over(place), str(place)
        half = svg.text_width(label, 11.5) / 2
        if x - half < reached:
            continue
        reached = x + half + 3
        parts.append(svg.line("axis", [(x, up.start), (x, up.start + 4)]))
        parts.append(svg.text(label, x, up.start + 17, text_anchor="middle", class_="tick"))
    return "".join(parts)


def _labels(lines: Sequence[Line], x: float, up: scale.Scale) -> list[str]:
    """At the height of each line's end, moved apart where they would lie on each other."""
    ordered = sorted(lines, key=lambda line: -line.points[-1].value)
    reached, found = -math.inf, []
    for line in ordered:
        y = max(up(line.points[-1].value) + 4, reached + _APART)
        reached = y
        found.append(svg.text(line.label, x, y, class_="tick"))
    return found
