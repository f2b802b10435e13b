"""Quality against cost: every model a labelled point, the Pareto front marked, the budget's room tinted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from makeweight.report.pareto import front
from makeweight.report.plots import scale, svg
from makeweight.report.plots.labels import Box, place
from makeweight.report.text import elided

HEIGHT = 330.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 50.0, 14.0, 34.0, 44.0
_FONT = 13.0
_LONGEST_NAME = 24
_MOST_WHISKERS = 7
_AREA = Box(_LEFT, _TOP, svg.WIDTH - _RIGHT, HEIGHT - _BOTTOM)


@dataclass(frozen=True)
class Point:
    """One model."""

    name: str
    cost: float
    quality: float
    low_high: tuple[float, float] | None
    """Where the quality may lie, next to the baseline's."""
    kind: Literal["baseline", "variant", "ships"]
    words: str
    """Its figures, for the tooltip and for who cannot see the picture."""


@dataclass(frozen=True)
class Axis:
    """What an axis shows: its title with the unit, and how a tick reads."""

    title: str
    tick: Callable[[float], str]
    most: float = math.inf
    """What no figure on it can exceed."""


@dataclass(frozen=True)
class Room:
    """What the budget allows: costs up to, quality from (or, where lower is better, up to). None: no limit."""

    cost: float | None = None
    quality: float | None = None


def draw(
    points: Sequence[Point],
    cost: Axis,
    quality: Axis,
    better: Literal["higher", "lower"],
    least_span: float,
    room: Room,
) -> str:
    """The chart as SVG. Points without finite figures are left out; with none left, it says so."""
    usable = [point for point in points if math.isfinite(point.cost) and math.isfinite(point.quality)]
    name = f"{quality.title} against {cost.title}"
    if not usable:
        return svg.empty(HEIGHT, name, "nothing was measured")
    across = scale.amounts([point.cost for point in usable], _AREA.left, _AREA.right)
    bounds = [bound for point in usable for bound in (point.quality, *(point.low_high or ()))]
    up = scale.around(bounds, _AREA.bottom, _AREA.top, least=least_span, most=quality.most, pad=0.06)
    on_front = front([(point.cost, point.quality if better == "higher" else -point.quality) for point in usable])
    places = [(across(point.cost), up(point.quality)) for point in usable]
    whiskers = _whiskers(usable, places, on_front, up)
    corners = [places[i] for i in on_front]
    order = sorted(range(len(usable)), key=lambda i: (usable[i].kind != "ships", i not in on_front, places[i]))
    described = [f"{point.words}{', on the Pareto front' if i in on_front else ''}" for i, point in enumerate(usable)]
    return svg.chart(
        HEIGHT,
        name,
        "; ".join(described) + ".",
        _room(room, across, up, better),
        _axes(across, up, cost, quality, better),
        svg.line("front", _steps(corners)) if len(corners) > 1 else "",
        *(svg.line("whisker", [(x, low), (x, high)]) for x, low, high in whiskers),
        *_labels([usable[i] for i in order], [places[i] for i in order], _lines(corners, whiskers)),
        # what matters most lies on top
        *(_mark(usable[i], places[i], described[i], front=i in on_front) for i in reversed(order)),
    )


def _room(room: Room, across: scale.Scale, up: scale.Scale, better: str) -> str:
    """The part of the plane that the budget allows, tinted; its limits as dashed lines."""
    if room.cost is None and room.quality is None:
        return ""
    right = _AREA.right if room.cost is None else across(room.cost)
    top, bottom = _AREA.top, _AREA.bottom
    if room.quality is not None and better == "higher":
        bottom = up(room.quality)
    elif room.quality is not None:
        top = up(room.quality)
    parts = []
    if right > _AREA.left and bottom > top:
        tinted = {"x": _AREA.left, "y": top, "width": right - _AREA.left, "height": bottom - top}
        parts.append(svg.element("rect", svg.tooltip("within the budget"), class_="room", **tinted))
    if room.cost is not None and across.low < room.cost < across.high:
        parts.append(svg.line("limit", [(right, _AREA.top), (right, _AREA.bottom)]))
    if room.quality is not None and up.low < room.quality < up.high:
        y = up(room.quality)
        parts.append(svg.line("limit", [(_AREA.left, y), (_AREA.right, y)]))
    return "".join(parts)


def _axes(across: scale.Scale, up: scale.Scale, cost: Axis, quality: Axis, better: str) -> str:
    parts = []
    for tick in up.ticks(6):
        y = up(tick)
        parts.append(svg.line("grid", [(_AREA.left, y), (_AREA.right, y)]))
        parts.append(svg.text(quality.tick(tick), _AREA.left - 8, y + 4, text_anchor="end", class_="tick"))
    reached = -math.inf
    for tick in across.ticks(7):
        x, label = across(tick), cost.tick(tick)
        half = svg.text_width(label, 12.5) / 2
        if x - half < reached or x + half > svg.WIDTH:
            continue  # ticks of a logarithmic axis may crowd
        reached = x + half + 8
        parts.append(svg.line("axis", [(x, _AREA.bottom), (x, _AREA.bottom + 4)]))
        parts.append(svg.text(label, x, _AREA.bottom + 17, text_anchor="middle", class_="tick"))
    parts.append(svg.line("axis", [(_AREA.left, _AREA.bottom), (_AREA.right, _AREA.bottom)]))
    arrow = "↑" if better == "higher" else "↓"
    parts.append(svg.text(f"{arrow} {quality.title}", 0.0, 14.0, class_="title"))
    steps = ", logarithmic" if across.logarithmic else ""
    parts.append(svg.text(f"← {cost.title}{steps}", _AREA.right, HEIGHT - 6, text_anchor="end", class_="title"))
    return "".join(parts)


def _steps(corners: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The border of what is dominated: along it, less cost is only to be had for less quality."""
    found = list(corners[:1])
    for (_, before), (x, y) in pairwise(corners):
        found += [(x, before), (x, y)]
    return found


def _lines(corners: Sequence[tuple[float, float]], whiskers: Sequence[tuple[float, float, float]]) -> list[Box]:
    """What labels had better not be crossed by."""
    front = [
        Box(min(x, x2) - 1.5, min(y, y2) - 1.5, max(x, x2) + 1.5, max(y, y2) + 1.5)
        for (x, y), (x2, y2) in pairwise(_steps(corners))
    ]
    return front + [Box(x - 1, min(low, high), x + 1, max(low, high)) for x, low, high in whiskers]


def _whiskers(
    points: Sequence[Point], places: Sequence[tuple[float, float]], on_front: Sequence[int], up: scale.Scale
) -> list[tuple[float, float, float]]:
    """Place across, and both ends. Where there are many points, only those that matter have one."""
    found = []
    for i, point in enumerate(points):
        matters = len(points) <= _MOST_WHISKERS or i in on_front or point.kind == "ships"
        if matters and point.low_high is not None and all(map(math.isfinite, point.low_high)):
            found.append((places[i][0], up(point.low_high[0]), up(point.low_high[1])))
    return found


def _mark(point: Point, at: tuple[float, float], words: str, *, front: bool) -> str:
    x, y = at
    kind = f"mark {point.kind} {'on' if front else 'off'}"
    if point.kind == "baseline":
        shape = svg.element("rect", x=x - 5, y=y - 5, width=10, height=10, class_=kind)
    elif point.kind == "ships":
        shape = svg.line(kind, _star(x, y, 9.5), closed=True)
    else:
        shape = svg.element("circle", cx=x, cy=y, r=5, class_=kind)
    # an unseen disc around the mark makes it easier to rest the pointer on
    return svg.element("g", svg.tooltip(words), svg.element("circle", cx=x, cy=y, r=13, class_="reach"), shape)


def _star(x: float, y: float, radius: float) -> list[tuple[float, float]]:
    corners = [(math.pi * corner / 5 - math.pi / 2, radius * (1, 0.45)[corner % 2]) for corner in range(10)]
    return [(x + reach * math.cos(angle), y + reach * math.sin(angle)) for angle, reach in corners]


def _labels(points: Sequence[Point], places: Sequence[tuple[float, float]], lines: Sequence[Box]) -> list[str]:
    names = [elided(point.name, _LONGEST_NAME) for point in points]
    sizes = [(svg.text_width(name, _FONT) + 2, _FONT + 3) for name in names]
    bounds = Box(_AREA.left + 2, _AREA.top, svg.WIDTH, _AREA.bottom - 2)
    found = []
    boxes = place(places, sizes, bounds, radius=7.0, lines=lines)
    for point, name, at, box in zip(points, names, places, boxes, strict=True):
        near = min(max(at[0], box.left), box.right), min(max(at[1], box.top), box.bottom)
        if math.dist(near, at) > 16:
            found.append(svg.line("leader", [at, near]))
        kind = "label ships" if point.kind == "ships" else "label"
        # the text keeps to the side of its point: its true width depends on the reader's typeface
        x, anchor = (box.left + box.right) / 2, "middle"
        if box.left > at[0]:
            x, anchor = box.left, "start"
        elif box.right < at[0]:
            x, anchor = box.right, "end"
        y = (box.top + box.bottom) / 2 + _FONT * 0.36
        found.append(svg.text(name, x, y, text_anchor=anchor, class_=kind))
    return found
