"""Quality against size, and against latency on every device."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from makeweight.budget.measurand import Measurand
from makeweight.budget.quantity import FRACTION
from makeweight.decide.verdict import RuleVerdict
from makeweight.layout import BASELINE
from makeweight.report import prose
from makeweight.report.comparison import cell, costs, heading
from makeweight.report.content import Content
from makeweight.report.figures import Figures
from makeweight.report.plots import tradeoff
from makeweight.report.sections.wording import kind, tick, unit_for, with_interval
from makeweight.report.written import dimension, title


def tradeoffs(content: Content, figures: Figures) -> list[dict[str, Any]]:
    charts = []
    for cost, device in costs(figures):
        points, missing = [], []
        for name in (BASELINE, *figures.variants):
            x, y = figures.place(cost, name, device), figures.value(figures.quality, name)
            if x is None or y is None:
                missing.append(name)
                continue
            words = _point_words(figures, cost, name, device)
            points.append(tradeoff.Point(name, x, y, _paired_interval(figures, name), kind(content, name), words))
        if not points:
            continue
        where = f" on {device}" if device else ""
        shown = prose.sentence(f"{heading(figures)} against {title(cost)}{where}")
        drawn = _tradeoff(content, figures, points, cost, device)
        charts.append({"title": shown, "svg": drawn, "missing": missing})
    return charts


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
    where = f" on {device}" if device else ""
    spread = max((abs(point.quality) for point in scaled), default=1.0)
    return tradeoff.draw(
        scaled,
        tradeoff.Axis(f"{title(cost)}{where}, {unit}", tick),
        tradeoff.Axis(f"{heading(figures)}, %" if percent else heading(figures), tick),
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
