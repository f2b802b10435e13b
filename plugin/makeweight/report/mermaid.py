"""A chart that GitHub draws by itself: quality against cost as Mermaid's quadrantChart.

https://mermaid.js.org/syntax/quadrantChart.html: points lie in 0..1, so the ends of the axes say what they stand for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from makeweight.report.text import elided

Point = tuple[str, float, float]
"""Name, cost, quality."""

_MOST = 15
_LOGARITHMIC_FROM = 5.0
_MARGIN = 0.08
_NAME = 20
# A label's size as a share of the chart, at Mermaid's own font size.
_CHARACTER, _LINE = 0.015, 0.035
_BLANK = " "


def quadrant(title: str, points: Sequence[Point], x_ends: tuple[str, str], y_ends: tuple[str, str]) -> str | None:
    """The chart's text, without a fence; None when there are not two different points to compare.

    Args:
        points: those with a cost or quality that is no finite number are left out, and all beyond the first 15.
        x_ends: what lowest and highest cost read, such as `51 us` and `412 us`.
        y_ends: the same for quality, lowest first.
    """
    usable = [point for point in points if math.isfinite(point[1]) and math.isfinite(point[2])][:_MOST]
    if len({point[1:] for point in usable}) < 2:
        return None
    costs = [cost for _, cost, _ in usable]
    if min(costs) > 0 and max(costs) / min(costs) >= _LOGARITHMIC_FROM:
        costs = [math.log(cost) for cost in costs]
    across, up = _spread(costs), _spread([quality for _, _, quality in usable])
    lines = [
        "quadrantChart",
        f"    title {_words(title)}",
        f'    x-axis "{_words(x_ends[0])}" --> "{_words(x_ends[1])}"',
        f'    y-axis "{_words(y_ends[0])}" --> "{_words(y_ends[1])}"',
    ]
    places = list(zip(across, up, strict=True))
    labels = _apart([_words(elided(name, _NAME)) for name, _, _ in usable], places)
    lines += [f'    "{label}": [{x:.3f}, {y:.3f}]' for label, (x, y) in zip(labels, places, strict=True)]
    return "\n".join(lines)


def _spread(values: list[float]) -> list[float]:
    low, high = min(values), max(values)
    if low == high:
        return [0.5] * len(values)
    return [_MARGIN + (1 - 2 * _MARGIN) * (value - low) / (high - low) for value in values]


def _apart(labels: list[str], places: list[tuple[float, float]]) -> list[str]:
    """Labels that would lie on one another, joined at the point nearest the middle; the other points bear a blank."""
    groups = [[i] for i in sorted(range(len(labels)), key=lambda i: places[i])]

    def text(group: list[int]) -> str:
        return ", ".join(labels[i] for i in group)

    def holder(group: list[int]) -> int:
        return min(group, key=lambda i: abs(places[i][0] - 0.5))

    def collide(one: list[int], other: list[int]) -> bool:
        (x, y), (x2, y2) = places[holder(one)], places[holder(other)]
        reach = _CHARACTER * (len(text(one)) + len(text(other))) / 2
        return abs(x - x2) < reach and abs(y - y2) < _LINE

    while pair := next(((a, b) for i, a in enumerate(groups) for b in groups[i + 1 :] if collide(a, b)), None):
        groups.remove(pair[1])
        groups[groups.index(pair[0])] = pair[0] + pair[1]
    shown = {holder(group): text(group) for group in groups}
    return [shown.get(i, _BLANK) for i in range(len(labels))]


def _words(text: str) -> str:
    """Mermaid's text has no escapes worth trusting, so only what is harmless stays."""
    kept = "".join(c if c.isalnum() or c in " _.,+-%()/" else " " for c in text)
    return " ".join(kept.split()) or "unnamed"
