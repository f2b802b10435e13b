"""Latency from raw times of blocks: times, ratios, and how far identical models differ (the noise floor).

A median and its ratio come from the same blocks, and a tail and its ratio from the same runs, so that the one is the
quotient of the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.budget.measurand import Measurand
from makeweight.budget.metric import Metric, times
from makeweight.layout import BASELINE
from makeweight.measure.sampled import quantile_interval
from makeweight.measure.statistics import MEDIAN, samples_needed
from makeweight.measure.timings import Timings
from makeweight.measurement import Cause, Measurement, unavailable
from makeweight_probe.blocks import ARMS
from makeweight_probe.sequential import confidence_sequence

LAUNCHES = 10
"""Cold starts that their figures need: so few pairs can exclude a limit (`sequential.py`) and have an interval."""
_NS = 1e9
_ONE_SIGMA = 0.6827
_SLOWED = "the device was slowed down while it was measured: {}"
_CLOCKS = {"end_to_end": "wall"}
"""What the clock of a meter is called in the raw times, where it is not called as the meter."""
_TURNS = {"cold": "in turns of single runs with empty caches", "start": "in turns of launches"}


def measure(timings: Timings, variant: str, device: str, threads: int) -> Iterator[Measurement]:
    """Every latency figure of a variant on a device, and the baseline's beside it."""
    asked_for_cold = bool(timings.runs("cold_b")) or timings.told("no_cold") is not None
    asked = (*times("wall"), *times("cpu"), *(times("cold") if asked_for_cold else ()))
    yield from family(timings, asked, variant, device, threads)


def family(
    timings: Timings, metrics: Iterable[Metric], variant: str, device: str, threads: int
) -> Iterator[Measurement]:
    """Quantiles of times, of a variant and of the baseline beside it, and their ratios; or why there are none."""
    for metric in metrics:
        reason = _objection(timings, metric, threads)
        if reason is not None:
            yield _unavailable(timings, metric, Measurand(metric.name), variant, device, reason)
            yield _unavailable(timings, metric, Measurand(metric.name, "ratio"), variant, device, reason)
            continue
        yield from _figures(timings, metric, variant, device)


def noise_floor(timings: Timings, clock: str = "wall", quantile: float = MEDIAN) -> float:
    """How far the control, the baseline once more, differed from the baseline: 0.012 for 1.2 %.

    For the median the largest of any process, as far as it is more than so few pairs sway it by themselves, which the
    interval tells already; for a tail at least that of the pooled samples. Never less than the step by which times are
    told, since two that differ by less may be told as one.
    """
    worst = max(map(_apart, timings.log_ratios(clock, "control")), default=math.inf)
    if quantile != MEDIAN and worst < math.inf:
        runs = (np.concatenate(timings.runs(f"{clock}_{arm}")) for arm in ("control", "a"))
        control, own = (np.quantile(times_of, quantile) for times_of in runs)
        worst = max(worst, abs(math.log(float(control) / float(own))))
    return math.expm1(max(worst, by_a_step(timings, clock)))


def by_a_step(timings: Timings, clock: str) -> float:
    """The log-ratio of two times, a step apart, of the shorter model."""
    if not (step := timings.step(clock)):
        return 0.0
    each = (values for arm in "ab" for values in timings.turns(f"{clock}_{arm}"))
    shortest = min((float(np.median(values)) for values in each), default=math.inf)
    return math.log1p(step / shortest) if shortest > 0 else math.inf


def _apart(log_ratios: NDArray[Any]) -> float:
    """How far their median is from 0, less its standard error (half of the interval that holds it in 68 % of cases)."""
    interval = quantile_interval(log_ratios, MEDIAN, _ONE_SIGMA)
    sway = 0.0 if interval is None else (interval[1] - interval[0]) / 2
    return max(abs(float(np.median(log_ratios))) - sway, 0.0)


def median_ratio(timings: Timings, clock: str = "wall") -> tuple[float, tuple[float, float]]:
    """The median of time(b)/time(a) over all pairs of turns, and its interval.

    The interval is the confidence sequence of the pooled pairs, stretched to hold every process's own median: how a
    process was laid out in memory sways all of its pairs alike, and pooling them must not hide that.
    """
    each = timings.log_ratios(clock)
    pooled = np.concatenate(each)
    low, high = confidence_sequence(pooled)
    medians = [math.exp(float(np.median(ratios))) for ratios in each]
    return math.exp(float(np.median(pooled))), (min(low, *medians), max(high, *medians))


def _objection(timings: Timings, metric: Metric, threads: int) -> str | None:
    clock, quantile = _of(metric)
    if (reason := meaningless(timings)) is not None:
        return reason
    if clock == "cpu" and threads != 1:
        return f"a thread's CPU clock misses the other {threads - 1} threads of the runtime; it needs threads: 1"
    if clock in ("cold", "cpu") and (reason := timings.told(f"no_{clock}")) is not None:
        return reason
    if quantile != MEDIAN and (reason := timings.told("no_singles")) is not None:
        return reason
    n, needed = _count(timings, clock), _needed(metric)
    if n < needed:
        what = "a cold start needs {} launches" if clock == "start" else f"{metric.percentile} needs {{}} samples"
        return f"{what.format(needed)}, and there was time for {n}"
    inner = max(int(result.facts["inner"]) for result in timings.processes)
    if quantile != MEDIAN and inner > 1:
        return f"one inference is too short for the clock, so {inner} were timed together, which hides the tail"
    return too_coarse(timings, clock)


def meaningless(timings: Timings) -> str | None:
    """Why no time that was taken there is the device's; None: they are."""
    if timings.emulated is not None:
        return timings.emulated
    return None if timings.slowed is None else _SLOWED.format(timings.slowed)


def too_coarse(
    timings: Timings, clock: str = "wall", what: str = "inferences", arms: Iterable[str] = ARMS
) -> str | None:
    """Why a clock tells no times there; None: it does.

    Args:
        what: was timed.
    """
    if any(float(np.min(values)) <= 0 for arm in arms for values in timings.runs(f"{clock}_{arm}")):
        return f"the clock is too coarse: some {what} took no measurable time"
    return None


def _count(timings: Timings, clock: str) -> int:
    """How many inferences stand behind the times."""
    name = f"{clock}_b"
    each = (result for result in timings.processes if name in result.samples)
    return sum(result.samples[name].size * int(result.facts.get("averaged", 1)) for result in each)


def _of(metric: Metric) -> tuple[str, float]:
    """The clock that reads it, and its quantile."""
    return _CLOCKS.get(str(metric.meter), str(metric.meter)), metric.quantile or MEDIAN


def _needed(metric: Metric) -> int:
    """How many times it takes at least."""
    return LAUNCHES if metric.meter == "start" else samples_needed(metric.quantile or MEDIAN)


def _unavailable(
    timings: Timings, metric: Metric, of: Measurand, variant: str, device: str, reason: str
) -> Measurement:
    """With the number of samples where more of them would help."""
    clock, _ = _of(metric)
    n = _count(timings, clock)
    unit = "ratio" if of.comparison else "s"
    short = n if 0 < n < _needed(metric) else None
    cause: Cause | None = None if short is None else "too_few_samples"
    return unavailable(of, variant, unit, reason, device=device, cause=cause, samples=short)


def _figures(timings: Timings, metric: Metric, variant: str, device: str) -> Iterator[Measurement]:
    """The variant's time, the baseline's beside it, and their ratio."""
    name, (clock, quantile) = metric.name, _of(metric)
    median = quantile == MEDIAN
    values = medians(timings, clock) if median else tails(timings, clock, quantile)
    floor, count = noise_floor(timings, clock, quantile), _count(timings, clock)
    fed = f"fed with {timings.fed}, " if timings.fed else ""
    lived = f"{len(timings.processes)} processes, {timings.where}"
    told = f"{lived if clock != 'start' else 'each launch a fresh process, its files in the cache'}, {fed}"
    for arm, model, against in (("b", variant, None), ("a", BASELINE, variant)):
        interval, method = interval_of(timings, clock, arm, quantile, values[arm]), f"{told}order statistics"
        yield Measurement(name, model, "s", values[arm], interval, count, method, against, device, noise_floor=floor)
    if median:
        ratio, interval = median_ratio(timings, clock)
        method = f"{told}{_TURNS.get(clock, 'in turns of blocks')} in random order, anytime-valid sign test"
    else:
        ratio, interval = values["b"] / values["a"], _tail_interval(timings, clock, quantile)
        method = f"{told}in turns of blocks, ratio of quantiles (order statistics)"
    if not math.isfinite(interval[1]):
        yield unavailable(Measurand(name, "ratio"), variant, "ratio", "too few pairs for an interval", device=device)
        return
    turns = sum(map(len, timings.turns(f"{clock}_b")))
    of_ratio = Measurement(name, variant, "ratio", ratio, interval, turns, method, BASELINE, device, noise_floor=floor)
    yield replace(of_ratio, comparison="ratio")


def medians(timings: Timings, clock: str = "wall") -> dict[str, float]:
    """The usual time of `a` and `b` in seconds, whose quotient is `median_ratio`.

    The median over all pairs of turns of both times' geometric mean, parted by the ratio: where the machine's speed
    changes between turns, the quotient of two plain medians would be another one.
    """
    pooled = {arm: np.log(np.concatenate(timings.turns(f"{clock}_{arm}")) / _NS) for arm in ("a", "b")}
    middle = float(np.median((pooled["a"] + pooled["b"]) / 2))
    half = float(np.median(pooled["b"] - pooled["a"])) / 2
    return {"a": math.exp(middle - half), "b": math.exp(middle + half)}


def tails(timings: Timings, clock: str, quantile: float) -> dict[str, float]:
    """A quantile of all runs of `a` and `b`, in seconds."""
    pooled = {arm: np.concatenate(timings.runs(f"{clock}_{arm}")) for arm in ("a", "b")}
    return {arm: float(np.quantile(runs, quantile)) / _NS for arm, runs in pooled.items()}


def interval_of(timings: Timings, clock: str, arm: str, quantile: float, value: float) -> tuple[float, float]:
    """Of a time in seconds: by order statistics, and for the median stretched to hold every process's own."""
    name = f"{clock}_{arm}"
    each = [values / _NS for values in (timings.turns(name) if quantile == MEDIAN else timings.runs(name))]
    pooled = np.concatenate(each)
    low, high = quantile_interval(pooled, quantile) or (float(pooled.min()), float(pooled.max()))
    own = [float(np.median(values)) for values in each] if quantile == MEDIAN else []
    return min(low, value, *own), max(high, value, *own)


def _tail_interval(timings: Timings, clock: str, quantile: float) -> tuple[float, float]:
    # each end at 97.5 %, so that both hold together at 95 % (Bonferroni)
    own, other = (quantile_interval(np.concatenate(timings.runs(f"{clock}_{arm}")), quantile, 0.975) for arm in "ba")
    return (0.0, math.inf) if own is None or other is None else (own[0] / other[1], own[1] / other[0])
