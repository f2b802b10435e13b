"""How long single inferences took, device by device."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from makeweight.budget.measurand import Measurand
from makeweight.budget.metric import times
from makeweight.budget.quantity import SECONDS, show
from makeweight.layout import BASELINE
from makeweight.report.comparison import LATENCY, cell
from makeweight.report.content import Content, Timing
from makeweight.report.figures import Figures
from makeweight.report.measuring import protocol_line
from makeweight.report.plots import latency
from makeweight.report.sections.wording import kind, percent, tick, unit_for, with_interval


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
                "protocol": protocol_line(content, figures, device),
                "floor": percent(figures.noise_floor(device)),
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
    return latency.Ridge(name, seconds, percentiles, kind(content, name), f"{name}: {words}", scale)
