"""Latency from raw paired samples: quantiles, paired ratios, and how far identical models differ (the noise floor)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from makeweight.budget.measurand import Measurand
from makeweight.budget.metric import times
from makeweight.layout import BASELINE
from makeweight.measure.statistics import SAMPLES_NEEDED, quantile_interval
from makeweight.measure.timings import Timings
from makeweight.measurement import Cause, Measurement, unavailable
from makeweight_probe.sequential import confidence_sequence

_QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
_NS = 1e9


def measure(timings: Timings, variant: str, device: str, threads: int) -> Iterator[Measurement]:
    """Every latency figure of a variant on a device, and the baseline's beside it."""
    for metric in (*times("wall"), *times("cpu")):
        name, clock, quantile = metric.name, str(metric.meter), metric.percentile
        reason = _objection(timings, clock, quantile, threads)
        if reason is not None:
            yield _unavailable(timings, Measurand(name), clock, quantile, variant, device, reason)
            yield _unavailable(timings, Measurand(name, "ratio"), clock, quantile, variant, device, reason)
            continue
        yield _absolute(timings, name, clock, quantile, variant, device, arm="b")
        yield replace(_absolute(timings, name, clock, quantile, BASELINE, device, arm="a"), against=variant)
        yield _ratio(timings, name, clock, quantile, variant, device)
    yield from _throughput(timings, variant, device)


def noise_floor(timings: Timings, clock: str = "wall", quantile: str = "p50") -> float:
    """How far the control, the baseline once more, differed from the baseline: 0.012 for 1.2 %.

    For the median the largest of any process, for a tail at least that of the pooled samples.
    """
    worst = max((abs(float(np.median(ratios))) for ratios in timings.log_ratios(clock, "control")), default=math.inf)
    if quantile != "p50" and worst < math.inf:
        q = _QUANTILES[quantile]
        control, own = (np.quantile(np.concatenate(timings.each(f"{clock}_{arm}")), q) for arm in ("control", "a"))
        worst = max(worst, abs(math.log(float(control) / float(own))))
    return math.expm1(worst)


def median_ratio(timings: Timings, clock: str = "wall") -> tuple[float, tuple[float, float]]:
    """The median of time(b)/time(a) over all pairs, and its interval.

    The interval is the confidence sequence of the pooled pairs, stretched to hold every process's own median: how a
    process was laid out in memory sways all of its pairs alike, and pooling them must not hide that.
    """
    each = timings.log_ratios(clock)
    pooled = np.concatenate(each)
    low, high = confidence_sequence(pooled)
    medians = [math.exp(float(np.median(ratios))) for ratios in each]
    return math.exp(float(np.median(pooled))), (min(low, *medians), max(high, *medians))


def _objection(timings: Timings, clock: str, quantile: str, threads: int) -> str | None:
    if clock == "cpu" and threads != 1:
        return f"a thread's CPU clock misses the other {threads - 1} threads of the runtime; it needs threads: 1"
    n, needed = _count(timings, clock), SAMPLES_NEEDED[quantile]
    if n < needed:
        return f"{quantile} needs {needed} samples, and there was time for {n}"
    inner = max(int(result.facts["inner"]) for result in timings.pairs)
    if quantile != "p50" and inner > 1:
        return f"one inference is too short for the clock, so {inner} were timed together, which hides the tail"
    arms = ("a", "b", "control")
    if any(float(np.min(values)) <= 0 for arm in arms for values in timings.each(f"{clock}_{arm}")):
        return "the clock is too coarse: some inferences took no measurable time"
    return None


def _count(timings: Timings, clock: str) -> int:
    return sum(len(values) for values in timings.each(f"{clock}_b"))


def _unavailable(
    timings: Timings, of: Measurand, clock: str, quantile: str, variant: str, device: str, reason: str
) -> Measurement:
    """With the number of samples where more of them would help."""
    n = _count(timings, clock)
    unit = "ratio" if of.comparison else "s"
    short = n if 0 < n < SAMPLES_NEEDED[quantile] else None
    cause: Cause | None = None if short is None else "too_few_samples"
    return unavailable(of, variant, unit, reason, device=device, cause=cause, samples=short)


def _absolute(
    timings: Timings, name: str, clock: str, quantile: str, variant: str, device: str, arm: str
) -> Measurement:
    q = _QUANTILES[quantile]
    each = [values / _NS for values in timings.each(f"{clock}_{arm}")]
    pooled = np.concatenate(each)
    interval = quantile_interval(pooled, q)
    if interval is None:
        interval = float(pooled.min()), float(pooled.max())
    if quantile == "p50":
        medians = [float(np.median(values)) for values in each]
        interval = min(interval[0], *medians), max(interval[1], *medians)
    return Measurement(
        name,
        variant,
        "s",
        float(np.quantile(pooled, q)),
        interval,
        len(pooled),
        f"{len(each)} processes, order statistics",
        device=device,
        noise_floor=noise_floor(timings, clock, quantile),
    )


def _ratio(timings: Timings, name: str, clock: str, quantile: str, variant: str, device: str) -> Measurement:
    processes = len(timings.pairs)
    if quantile == "p50":
        value, interval = median_ratio(timings, clock)
        method = f"paired in random order, {processes} processes, anytime-valid sign test"
    else:
        q = _QUANTILES[quantile]
        before, after = (np.concatenate(timings.each(f"{clock}_{arm}")) for arm in ("a", "b"))
        value = float(np.quantile(after, q) / np.quantile(before, q))
        # each end at 97.5 %, so that both hold together at 95 % (Bonferroni)
        own, other = quantile_interval(after, q, 0.975), quantile_interval(before, q, 0.975)
        interval = (0.0, math.inf) if own is None or other is None else (own[0] / other[1], own[1] / other[0])
        method = f"interleaved, {processes} processes, ratio of quantiles (order statistics)"
    if not math.isfinite(interval[1]):
        return unavailable(Measurand(name, "ratio"), variant, "ratio", "too few pairs for an interval", device=device)
    return Measurement(
        name,
        variant,
        "ratio",
        value,
        interval,
        timings.rounds,
        method,
        comparison="ratio",
        against=BASELINE,
        device=device,
        noise_floor=noise_floor(timings, clock, quantile),
    )


def _throughput(timings: Timings, variant: str, device: str) -> Iterator[Measurement]:
    arms = {BASELINE: timings.each("batch_a"), variant: timings.each("batch_b")}
    if not arms[variant]:
        told = [str(result.facts["no_batches"]) for result in timings.pairs if "no_batches" in result.facts]
        reason = told[0] if told else "the model takes one fixed batch, so there are no batches to fill"
        yield unavailable(Measurand("throughput"), variant, "1/s", reason, device=device)
        return
    batch = next(int(result.facts["batch"]) for result in timings.pairs if result.facts["batch"])
    for name, each in arms.items():
        rates = batch * _NS / np.concatenate(each)
        medians = [float(np.median(batch * _NS / values)) for values in each]
        yield Measurement(
            "throughput",
            name,
            "1/s",
            float(np.median(rates)),
            (min(medians), max(medians)),
            len(rates),
            f"batches of {batch}, {len(each)} processes; the interval spans their medians",
            against=variant if name == BASELINE else None,
            device=device,
            noise_floor=noise_floor(timings),
        )
