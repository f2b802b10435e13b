"""What the verdicts of a branch came to, commit by commit: a chart of figures and noise floors, and its rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

from makeweight.budget.measurand import Measurand
from makeweight.budget.metric import METRICS
from makeweight.budget.quantity import FRACTION, POINTS, RATIO, show
from makeweight.report.brief import Brief
from makeweight.report.plots import scale, svg
from makeweight.report.standing import HEADLINES
from makeweight.report.text import elided
from makeweight.report.written import dimension, title

_WIDTH, _PANEL, _GAP = 720.0, 96.0, 34.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 24.0, 54.0, 46.0
_MOST_DEVICES = 4
"""Whose noise floors are drawn; the rows have them all."""
_STYLE = f"""
text {{ font: 12px {svg.FACE}; fill: #1b1d1f }}
.quiet {{ font-size: 11px; fill: #5b6065 }}
.grid {{ stroke: #e2e2dd }} .even {{ stroke: #6f767d; stroke-dasharray: 3 3 }}
.line {{ fill: none; stroke: #0a56a6; stroke-width: 1.6 }}
.pass {{ fill: #0a56a6 }} .fail {{ fill: #ad3b0c }}
.inconclusive, .not_applicable {{ fill: #fff; stroke: #7a5500; stroke-width: 1.6 }}
.ground {{ fill: #fff }}
@media (prefers-color-scheme: dark) {{
  text {{ fill: #e9e9e6 }} .quiet {{ fill: #a3a8ad }} .grid {{ stroke: #303438 }} .even {{ stroke: #969da4 }}
  .line {{ stroke: #7db8f2 }} .pass {{ fill: #7db8f2 }} .fail {{ fill: #ff9a6c }}
  .inconclusive, .not_applicable {{ fill: #131516; stroke: #e3b757 }} .ground {{ fill: #131516 }}
}}
"""


@dataclass(frozen=True)
class Entry:
    """The verdict as one commit holds it."""

    commit: str
    """The full hash; empty for what is not committed."""
    day: str
    """`2027-03-31`."""
    brief: Brief


@dataclass(frozen=True)
class _Panel:
    """One figure over the commits. `even`: what it is where variant and baseline are equal."""

    title: str
    even: float
    least: float
    show: Callable[[float], str]
    value: Callable[[Brief], float | None]


def rows(entries: Sequence[Entry]) -> str:
    """history.json: an object a commit, the oldest first."""
    told = [{"commit": each.commit, "day": each.day, **asdict(each.brief)} for each in entries]
    return json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def draw(project: str, entries: Sequence[Entry]) -> str:
    """history.svg, to stand by itself; the oldest commit at the left. Figures that were not measured leave a gap."""
    panels = _panels(entries)
    height = _TOP + len(panels) * (_PANEL + _GAP) - _GAP + _BOTTOM
    name = f"{elided(project, 40)}: what ships, commit by commit"
    parts = [svg.element("style", _STYLE), svg.element("rect", width=_WIDTH, height=height, class_="ground")]
    parts += [svg.text(name, _LEFT, 18.0), *_legend(entries)]
    if not entries:
        parts.append(svg.text("no verdict is committed yet", _WIDTH / 2, height / 2, text_anchor="middle"))
        return svg.alone(_WIDTH, height, name, *parts)
    places = [_place(index, len(entries)) for index in range(len(entries))]
    for number, panel in enumerate(panels):
        parts += _drawn(panel, entries, places, _TOP + number * (_PANEL + _GAP))
    for index, anchor in ((0, "start"), (len(entries) - 1, "end"))[: len(entries)]:
        shown = f"{entries[index].commit[:7] or 'not committed'} · {entries[index].day}"
        parts.append(svg.text(shown, (_LEFT, _WIDTH - _RIGHT)[anchor == "end"], height - 14, text_anchor=anchor))
    return svg.alone(_WIDTH, height, name, *parts)


def _legend(entries: Sequence[Entry]) -> list[str]:
    """What the marks stand for that are drawn, from the right."""
    parts, x = [], _WIDTH - _RIGHT
    for outcome in sorted({entry.brief.outcome for entry in entries}):
        words = HEADLINES[outcome]
        parts.append(svg.text(words, x, 18.0, text_anchor="end", class_="quiet"))
        x -= svg.text_width(words, 11.0) + 10
        parts.append(svg.element("circle", cx=x, cy=14.0, r=3.5, class_=outcome))
        x -= 16
    return parts


def _panels(entries: Sequence[Entry]) -> list[_Panel]:
    metric = entries[-1].brief.quality if entries else "accuracy"
    # an error is held against the baseline's by its ratio, everything else by how far it fell
    is_error = metric in METRICS and METRICS[metric].better == "lower"
    drop = Measurand(metric).compared("drop")
    unit = dimension(drop)

    def ratio(value: float) -> str:
        return show(value, RATIO)

    def of_floor(device: str) -> _Panel:
        return _Panel(
            f"noise floor on {elided(device, 40)}: what copies of one model differed by",
            0.0,
            0.01,
            lambda value: show(value, FRACTION),
            lambda brief: brief.noise_floors.get(device),
        )

    devices = list(dict.fromkeys(device for each in reversed(entries) for device in each.brief.noise_floors))

    def of_quality(brief: Brief) -> float | None:
        if brief.quality != metric:
            return None
        return brief.quality_ratio if is_error else brief.quality_drop

    quality = _Panel(title(drop), 0.0, 0.01 if unit == POINTS else 1e-9, lambda value: show(value, unit), of_quality)
    if is_error:
        quality = _Panel(f"{title(Measurand(metric))}, of the baseline's", 1.0, 0.02, ratio, of_quality)

    return [
        _Panel("size, of the baseline's", 1.0, 0.2, ratio, lambda brief: brief.size_ratio),
        _Panel("median latency, of the baseline's", 1.0, 0.2, ratio, lambda brief: brief.latency_ratio),
        quality,
        *(of_floor(device) for device in devices[:_MOST_DEVICES]),
    ]


def _place(index: int, count: int) -> float:
    room = _WIDTH - _RIGHT - _LEFT
    return _LEFT + room / 2 if count == 1 else _LEFT + 8 + (room - 16) * index / (count - 1)


def _drawn(panel: _Panel, entries: Sequence[Entry], places: Sequence[float], top: float) -> list[str]:
    values = [panel.value(each.brief) for each in entries]
    known = [value for value in values if value is not None]
    bottom = top + _PANEL
    parts = [svg.text(panel.title, _LEFT, top - 6, class_="quiet")]
    if not known:
        shown = svg.text("not measured", _WIDTH / 2, top + _PANEL / 2, text_anchor="middle", class_="quiet")
        return [*parts, svg.line("grid", [(_LEFT, bottom), (_WIDTH - _RIGHT, bottom)]), shown]
    up = scale.around([*known, panel.even], bottom, top + 8, least=panel.least)
    for tick in up.ticks(4):
        y = up(tick)
        parts.append(svg.line("even" if tick == panel.even else "grid", [(_LEFT, y), (_WIDTH - _RIGHT, y)]))
        parts.append(svg.text(panel.show(tick), _LEFT - 8, y + 4, text_anchor="end", class_="quiet"))
    for measured, points in groupby(zip(places, values, strict=True), lambda point: point[1] is not None):
        if measured:
            parts.append(svg.line("line", [(x, up(value)) for x, value in points if value is not None]))
    before = None
    for entry, x, value in zip(entries, places, values, strict=True):
        if value is None:
            continue
        words = f"{entry.commit[:7] or 'not committed'}, {entry.day}: {_said(entry.brief)}, {panel.show(value)}"
        mark = svg.element("circle", svg.tooltip(words), cx=x, cy=up(value), r=3.5, class_=entry.brief.outcome)
        parts.append(mark)
        if entry.brief.variant and entry.brief.variant != before and top == _TOP:
            anchor = "end" if x > _WIDTH * 0.8 else "start"
            name = elided(entry.brief.variant, 24)
            parts.append(svg.text(name, x, up(value) - 8, text_anchor=anchor, class_="quiet"))
        before = entry.brief.variant
    return parts


def _said(brief: Brief) -> str:
    return f"{brief.variant or 'no variant'}, {HEADLINES[brief.outcome]}"
