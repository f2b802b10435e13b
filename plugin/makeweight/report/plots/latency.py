"""How latency is distributed: one ridge a model, on a common axis, with its median and tails marked."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from makeweight.report.plots import scale, svg
from makeweight.report.text import elided

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROW, _RIDGE = 46.0, 24.0
_TOP, _BOTTOM = 8.0, 40.0
_LEFT, _RIGHT = 4.0, 12.0
_GRID = 220
_LONGEST_NAME = 28
_TAIL = 3.0
"""How many times the median a mark may lie off and still stretch the axis."""


@dataclass(frozen=True)
class Ridge:
    """The samples of one model, and those of its percentiles that could be had, in seconds."""

    name: str
    seconds: NDArray[Any]
    percentiles: tuple[tuple[str, float | None], ...]
    """By name (`p90`), the median first."""
    kind: Literal["baseline", "variant", "ships"]
    words: str
    scale: float = 1.0
    """What its times are multiplied by to stand beside those of the others: the machine was not as fast in each run."""
    before: str = ""
    """What the baseline took beside it, where that is told with its median."""

    @property
    def median(self) -> float | None:
        return self.percentiles[0][1]


def draw(
    ridges: Sequence[Ridge], title: str, unit: float, tick: Callable[[float], str], show: Callable[[float], str]
) -> str:
    """The chart as SVG, one row a model in the given order. Models without a usable sample are left out.

    Args:
        unit: seconds per unit of the axis; `title` names the unit.
        tick: how a number on the axis reads.
        show: how a latency in seconds reads, with its unit.
    """
    import numpy as np

    clean = [(ridge, _usable(ridge.seconds) * ridge.scale) for ridge in ridges]
    rows = [(ridge, samples) for ridge, samples in clean if len(samples)]
    if not rows:
        return svg.empty(80, title, "nothing was measured")
    low = min(float(np.quantile(samples, 0.002)) for _, samples in rows)
    high = max(_reach(ridge, samples) for ridge, samples in rows)
    across = scale.amounts([min(low, high) / unit, high / unit], _LEFT, svg.WIDTH - _RIGHT, pad=0.03)
    height = _TOP + _ROW * len(rows) + _BOTTOM
    parts = [_axis(across, title, tick, height)]
    for place, (ridge, samples) in enumerate(rows):
        parts.append(_row(ridge, samples / unit, across, unit, _TOP + _ROW * (place + 1), show))
    return svg.chart(height, title, "; ".join(ridge.words for ridge, _ in rows) + ".", *parts)


def _usable(seconds: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    values = np.asarray(seconds, dtype=np.float64).ravel()
    return values[np.isfinite(values) & (values > 0)]


def _reach(ridge: Ridge, samples: NDArray[Any]) -> float:
    """How far to the right a model deserves to be drawn: a tail of rare hiccups must not press the rest together."""
    import numpy as np

    middle = ridge.median * ridge.scale if ridge.median is not None else float(np.median(samples))
    tails = [p * ridge.scale for _, p in ridge.percentiles[1:] if p is not None]
    marks = [p for p in tails if p <= _TAIL * middle]
    return max([float(min(np.quantile(samples, 0.95), _TAIL * middle)), middle, *marks])


def density(samples: NDArray[Any], across: scale.Scale, count: int = _GRID) -> NDArray[Any]:
    """How densely samples lie at `count` places along the axis, the densest 1; shape [count].

    A Gaussian kernel over the axis as drawn (so logarithmic where that is), its width after Silverman (1986, eq.
    3.31). Samples beyond the axis are left out.
    """
    import numpy as np

    inside = samples[(samples >= across.low) & (samples <= across.high)]
    if not len(inside):
        return np.zeros(count)
    position = np.log(inside) if across.logarithmic else inside
    ends = (math.log(across.low), math.log(across.high)) if across.logarithmic else (across.low, across.high)
    cell = (ends[1] - ends[0]) / (count - 1)
    spread = min(float(np.std(position)), float(np.subtract(*np.quantile(position, [0.75, 0.25]))) / 1.34)
    width = max(0.9 * spread * len(position) ** -0.2, cell)
    nearest = np.clip(np.rint((position - ends[0]) / cell).astype(int), 0, count - 1)
    weights = np.bincount(nearest, minlength=count).astype(np.float64)
    reach = min(count - 1, math.ceil(4 * width / cell))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * cell / width) ** 2)
    smooth = np.convolve(weights, kernel)[reach : reach + count]
    return np.asarray(smooth / smooth.max())


def _axis(across: scale.Scale, title: str, tick: Callable[[float], str], height: float) -> str:
    parts, reached = [], -math.inf
    floor = height - _BOTTOM
    for value in across.ticks(7):
        x, label = across(value), tick(value)
        half = svg.text_width(label, 12.5) / 2
        left = min(max(x, half), svg.WIDTH - half)
        if left - half < reached:
            continue
        reached = left + half + 8
        parts.append(svg.line("grid", [(x, _TOP), (x, floor + 4)]))
        parts.append(svg.text(label, left, floor + 17, text_anchor="middle", class_="tick"))
    steps = ", logarithmic" if across.logarithmic else ""
    parts.append(svg.text(f"← {title}{steps}", svg.WIDTH - _RIGHT, height - 5, text_anchor="end", class_="title"))
    return "".join(parts)


def _row(
    ridge: Ridge, samples: NDArray[Any], across: scale.Scale, unit: float, base: float, show: Callable[[float], str]
) -> str:
    heights = density(samples, across)
    step = (across.end - across.start) / (len(heights) - 1)
    outline = [(across.start + step * i, base - _RIDGE * float(h)) for i, h in enumerate(heights)]
    seen = [i for i, h in enumerate(heights) if h > 0.004]
    first, last = (max(seen[0] - 1, 0), min(seen[-1] + 1, len(outline) - 1)) if seen else (0, 0)
    shape = [(outline[first][0], base), *outline[first : last + 1], (outline[last][0], base)]
    parts = [
        svg.tooltip(ridge.words),
        svg.line("axis", [(across.start, base), (across.end, base)]),
        svg.line(f"ridge {ridge.kind}", shape, closed=True),
    ]
    if ridge.median is not None:
        x = across(ridge.median * ridge.scale / unit)
        parts.append(svg.line(f"median {ridge.kind}", [(x, base), (x, base - _RIDGE - 2)]))
    beyond = []
    for name, value in ridge.percentiles[1:]:
        if value is None:
            continue
        x = across(value * ridge.scale / unit)
        if value * ridge.scale / unit > across.high:
            beyond.append(f"{name} {show(value)}")
        elif name == ridge.percentiles[-1][0]:
            tip = [(x - 4, base - 11), (x + 4, base - 11), (x, base - 2)]
            parts.append(svg.line("extreme", tip, closed=True))
        else:
            parts.append(svg.line("tail", [(x, base), (x, base - _RIDGE / 2)]))
    if beyond:
        said = f"{', '.join(beyond)} →"
        parts.append(svg.text(said, across.end, base - 5, text_anchor="end", class_="label beyond"))
    kind = "label ships" if ridge.kind == "ships" else "label"
    name = elided(ridge.name, _LONGEST_NAME)
    # the name stands on the side that the ridge leaves free
    middle = across(ridge.median * ridge.scale / unit if ridge.median else float(samples.mean()))
    if middle > svg.WIDTH / 2:
        anchor, x = "start", across.start
    else:
        anchor, x = "end", across.end
    figure = ""
    if ridge.median is not None:
        said = f"{show(ridge.median)} from {ridge.before}" if ridge.before else show(ridge.median)
        figure = svg.element("tspan", html.escape(said), dx=7, class_="quiet")
    label = svg.element("tspan", html.escape(name), class_="name") + figure
    parts.append(svg.element("text", label, x=x, y=base - _RIDGE + 6, text_anchor=anchor, class_=kind))
    return svg.element("g", *parts)
