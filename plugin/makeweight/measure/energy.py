"""Energy of one inference: measured by a meter, or unavailable with its reason; never estimated from a constant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from makeweight.budget.measurand import Measurand
from makeweight.layout import BASELINE
from makeweight.measure.latency import meaningless
from makeweight.measure.sampled import quantile_interval
from makeweight.measure.statistics import MEDIAN
from makeweight.measure.timings import Timings
from makeweight.measurement import Measurement, unavailable

NOT_ASKED = "it is measured where a rule of the budget names it"
_LOST = "what an inference takes is lost in what the machine takes idle"


def measure(timings: Timings, variant: str, device: str) -> Iterator[Measurement]:
    """Energy of one inference of a variant and of the baseline in joules, and their ratio: medians over the rounds,
    with intervals by order statistics."""
    told = timings.energy
    reason = _objection(timings)
    if told is None or reason is not None:
        yield unavailable(Measurand("energy"), variant, "J", str(reason), device=device)
        yield unavailable(Measurand("energy", "ratio"), variant, "ratio", str(reason), device=device)
        return
    base, own = told.samples["joules_a"], told.samples["joules_b"]
    idle = float(np.median(told.samples["idle"]))
    method = f"{told.facts['source']}, {idle:.3g} W idle taken off, {len(own)} long blocks in turns, order statistics"

    def figure(unit: str, name: str, values: NDArray[np.float64], against: str | None) -> Measurement:
        interval = quantile_interval(values, MEDIAN)
        return Measurement(
            "energy", name, unit, float(np.median(values)), interval, len(values), method, against, device
        )

    yield figure("J", variant, own, None)
    yield figure("J", BASELINE, base, variant)
    # a round in which the baseline's is lost in what is idle bounds the ratio by nothing
    ratios = np.divide(own, base, out=np.full(len(base), np.inf), where=base > 0)
    if not np.isfinite([np.median(ratios), *(quantile_interval(ratios, MEDIAN) or ())]).all():
        yield unavailable(Measurand("energy", "ratio"), variant, "ratio", _LOST, device=device)
        return
    yield replace(figure("ratio", variant, ratios, BASELINE), comparison="ratio")


def _objection(timings: Timings) -> str | None:
    told = timings.energy
    if told is None:
        return NOT_ASKED
    if timings.emulated is not None:
        return timings.emulated
    if "unavailable" in told.facts:
        return str(told.facts["unavailable"])
    if (reason := meaningless(Timings((told,), {}))) is not None:
        return reason
    lost = any(float(np.median(told.samples[f"joules_{arm}"])) <= 0 for arm in ("a", "b"))
    return _LOST if lost else None
