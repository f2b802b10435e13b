"""The charts of report.html, each with the words beside it: quality against cost, latencies, and classes."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from makeweight.budget.measurand import Measurand
from makeweight.budget.metric import times
from makeweight.budget.quantity import FRACTION, POINTS, SECONDS, Dimension, show
from makeweight.decide.verdict import RuleVerdict
from makeweight.layout import BASELINE
from makeweight.report import prose
from makeweight.report.comparison import LATENCY, SIZE, Cell, cell, costs, heading
from makeweight.report.content import ClassFigure, Content, Timing
from makeweight.report.figures import Figures
from makeweight.report.measuring import how
from makeweight.report.plots import classes, latency, tradeoff
from makeweight.report.written import dimension, title

_MOST_CLASSES = 24
_FAR = 10.0
"""So many times what is tolerated, or what most models lost, is another order of magnitude."""


def tradeoffs(content: Content, figures: Figures, left_out: Collection[str] = ()) -> list[dict[str, Any]]:
    """Args:
    left_out: models that are not drawn.
    """
    charts = []
    for cost, device in costs(figures):
        points, missing = [], []
        for name in figures.models:
            if name in left_out:
                continue
            x, y = figures.place(cost, name, device), figures.value(figures.quality, name)
            if x is None or y is None:
                missing.append(name)
                continue
            words = _point_words(figures, cost, name, device)
            points.append(tradeoff.Point(name, x, y, _paired_interval(figures, name), kind(content, name), words))
        if not points:
            continue
        shown = prose.sentence(f"{heading(figures)} against {title(cost, device)}")
        drawn = _tradeoff(content, figures, points, cost, device)
        charts.append({"title": shown, "svg": drawn, "missing": missing})
    return charts


def collapsed(content: Content, figures: Figures) -> list[str]:
    """Models whose quality is so far below the baseline's that, drawn on one axis, all others would lie on a line."""
    base, (_, poorest) = figures.value(figures.quality, BASELINE), _room(content, figures, SIZE, None)
    if base is None:
        return []
    sign = 1.0 if figures.better(figures.quality) == "higher" else -1.0
    held = {name: figures.value(figures.quality, name) for name in figures.variants}
    lost = {name: sign * (base - value) for name, value in held.items() if value is not None}
    if not lost:
        return []
    tolerated = 0.0 if poorest is None else abs(base - poorest)
    usual = sorted(map(abs, lost.values()))[(len(lost) - 1) // 2]
    most = _FAR * max(tolerated, usual, 0.01 * abs(base))
    return [name for name, value in lost.items() if value > most and name != content.verdict.ship]


def _tradeoff(
    content: Content, figures: Figures, points: list[tradeoff.Point], cost: Measurand, device: str | None
) -> str:
    size, unit = unit_for([point.cost for point in points], dimension(cost))
    quality = figures.quality
    percent = dimension(quality) == FRACTION
    factor = 100 if percent else 1
    scaled = [
        replace(
            point,
            cost=point.cost / size,
            quality=point.quality * factor,
            low_high=point.low_high and (point.low_high[0] * factor, point.low_high[1] * factor),
        )
        for point in points
    ]
    dearest, poorest = _room(content, figures, cost, device)
    room = tradeoff.Room(dearest and dearest / size, poorest and poorest * factor)
    spread = max((abs(point.quality) for point in scaled), default=0.0) or 1.0  # all of them may be 0
    return tradeoff.draw(
        scaled,
        tradeoff.Axis(f"{title(cost, device)}, {unit}", tick),
        tradeoff.Axis(
            f"{heading(figures)}, %" if percent else heading(figures), tick, dimension(quality).most * factor
        ),
        figures.better(quality),
        1.0 if percent else spread * 0.02,
        room,
    )


def _room(content: Content, figures: Figures, cost: Measurand, device: str | None) -> tuple[float | None, float | None]:
    """The tightest limits of cost and quality, as absolute figures: ratios and drops counted from the baseline."""
    dearest: list[float] = []
    poorest: list[float] = []
    higher = figures.better(figures.quality) == "higher"
    for rule in content.verdict.rules:
        if rule.level != "error" or rule.slice is not None:
            continue
        if rule.metric == cost.metric and rule.device == device:
            dearest += _absolute(figures, rule, cost)
        elif rule.metric == figures.quality.metric:
            poorest += _absolute(figures, rule, figures.quality)
    best = (max if higher else min)(poorest) if poorest else None
    return min(dearest, default=None), best


def _absolute(figures: Figures, rule: RuleVerdict, of: Measurand) -> list[float]:
    if rule.limits is None or rule.limit is None:
        return []
    figure = rule.limits.absolute(rule.limit, figures.value(of, BASELINE, rule.device), figures.better(of))
    return [] if figure is None else [figure]


def _paired_interval(figures: Figures, variant: str) -> tuple[float, float] | None:
    """Where the quality may lie, given the baseline's: the interval of the comparison, not of the figure alone."""
    quality = figures.quality
    base = figures.value(quality, BASELINE)
    drop, ratio = (figures.get(quality.compared(how), variant) for how in ("drop", "ratio"))
    if base is None or variant == BASELINE:
        return None
    if drop is not None and drop.interval is not None:
        low, high = drop.interval
        return (base - high, base - low) if figures.better(quality) == "higher" else (base + low, base + high)
    if ratio is not None and ratio.interval is not None:
        return (base * ratio.interval[0], base * ratio.interval[1])
    return None


def _point_words(figures: Figures, cost: Measurand, name: str, device: str | None) -> str:
    own, held = cell(figures, cost, name, device), cell(figures, figures.quality, name)
    return f"{name}: {with_interval(own)}, {heading(figures)} {with_interval(held)}"


def latencies(content: Content, figures: Figures) -> list[dict[str, Any]]:
    charts = []
    for device in figures.devices:
        timings = [timing for timing in content.timings if timing.device == device]
        if not timings:
            continue
        order = {name: place for place, name in enumerate(figures.variants)}
        timings.sort(key=lambda timing: order.get(timing.variant, len(order)))
        # The baseline is timed beside every variant: the run whose median is the median of them all stands for it.
        middle = sorted(timings, key=_baseline_median)[(len(timings) - 1) // 2]
        ridge = partial(_ridge, content, figures, device)
        ridges = [ridge(BASELINE, middle.baseline_seconds)]
        ridges += [ridge(timing.variant, timing.variant_seconds) for timing in timings]
        medians = [value * each.scale for each in ridges if (value := each.median) is not None]
        size, unit = unit_for(medians, SECONDS)
        drawn = latency.draw(ridges, f"latency on {device}, {unit}", size, tick, lambda s: show(s, SECONDS))
        timed = {timing.variant for timing in timings}
        missing = [name for name in figures.variants if name not in timed]
        charts.append(
            {
                "device": device,
                "svg": drawn,
                "missing": [(name, _reason(figures, name, device)) for name in missing],
                "how": how(content, figures, device),
            }
        )
    return charts


def _reason(figures: Figures, name: str, device: str) -> str:
    if figures.value(LATENCY, name, device) is not None:
        return "its figures are of an earlier run, whose raw timings are not here"
    return figures.reason(LATENCY, name, device)


def _baseline_median(timing: Timing) -> float:
    import numpy as np

    return float(np.median(timing.baseline_seconds)) if len(timing.baseline_seconds) else math.inf


def _ridge(content: Content, figures: Figures, device: str, name: str, seconds: Any) -> latency.Ridge:
    shown = [(metric.percentile, Measurand(metric.name)) for metric in times("wall")]
    percentiles = tuple((p, figures.value(of, name, device)) for p, of in shown)
    cells = [(p, cell(figures, of, name, device)) for p, of in shown]
    words = ", ".join(f"{p} {with_interval(each)}" for p, each in cells if each.value) or "no percentile"
    place, median = figures.place(LATENCY, name, device), figures.value(LATENCY, name, device)
    scale = place / median if place and median else 1.0
    before = cell(figures, LATENCY, name, device).before
    return latency.Ridge(name, seconds, percentiles, kind(content, name), f"{name}: {words}", scale, before)


def by_class(content: Content, order: list[str]) -> list[dict[str, Any]]:
    charts = []
    for variant in order:
        listed = content.classes.get(variant, ())
        if not listed:
            continue
        by_drop = sorted(listed, key=lambda each: -each.drop)  # equal ones as the model has them
        kept = by_drop
        if len(by_drop) > _MOST_CLASSES:
            kept = by_drop[: _MOST_CLASSES * 2 // 3] + by_drop[-(_MOST_CLASSES // 3) :]
        bars = [classes.Bar(each.name, each.drop, _class_words(each)) for each in kept]
        charts.append(
            {
                "variant": variant,
                "svg": classes.draw(bars, f"{variant} by class: {content.class_figure} against the baseline"),
                "shown": len(kept),
                "count": len(listed),
                "worst": _most_lost(by_drop[0]),
                "unchanged": all(each.drop == 0 for each in listed),
            }
        )
    return charts


def _most_lost(each: ClassFigure) -> str:
    return f"{each.name} lost most, {show(each.drop, POINTS)}" if each.drop > 0 else "no class lost"


def _class_words(each: ClassFigure) -> str:
    return (
        f"{each.name}: {show(each.variant, FRACTION)}, baseline {show(each.baseline, FRACTION)}, "
        f"{each.examples:,} example{'' if each.examples == 1 else 's'}"
    )


def unit_for(values: Iterable[float], of: Dimension) -> tuple[float, str]:
    """The unit in which most of the figures read well: its size in base units, and its name."""
    finite = sorted(value for value in values if math.isfinite(value) and value > 0)
    middle = finite[len(finite) // 2] if finite else 1.0
    name = next((unit for unit in of.shown if middle >= of.units[unit] * 0.9995), of.shown[-1])
    return of.units[name], name


def tick(value: float) -> str:
    return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:.3g}"


def kind(content: Content, name: str) -> Literal["baseline", "variant", "ships"]:
    return "baseline" if name == BASELINE else "ships" if name == content.verdict.ship else "variant"


def with_interval(shown: Cell) -> str:
    if shown.reason:
        return f"not measured ({shown.reason})"
    interval = f" {shown.interval}" if shown.interval else ""
    before = f" from {shown.before}" if shown.before else ""
    return f"{shown.value}{interval}{before}{f', {shown.change.words}' if shown.change else ''}"
