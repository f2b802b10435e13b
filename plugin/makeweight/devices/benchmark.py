"""Carry out one benchmark on a device: processes of pairs until it is decided, then peak memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from makeweight.devices.device import Device, DeviceOptions
from makeweight.measure import energy, latency, memory
from makeweight.measure.latency import median_ratio, noise_floor
from makeweight.measure.statistics import SAMPLES_NEEDED
from makeweight.measure.timings import Timings
from makeweight.measurement import Measurement
from makeweight_base.progress import Progress
from makeweight_probe.job import MemoryJob, Model, PairsJob, Result

MOST_PROCESSES = 12
THROUGHPUT_BATCH = 32


@dataclass(frozen=True)
class Pair:
    """Two models to be compared, and what to feed them."""

    a: Model
    b: Model
    inputs: str
    free_batch: bool
    """Whether both take batches of any size."""


@dataclass(frozen=True)
class Aim:
    """What a benchmark is to find out: it stops early once each limit is decided."""

    limits: tuple[float, ...]
    """Ratios time(b)/time(a)."""
    percentile: str = "p50"
    """The furthest percentile wanted (of SAMPLES_NEEDED)."""
    percentile_seconds: float = math.inf
    """Most time per process to spend on reaching it, when all else is decided."""
    memory: bool = True


def carry_out(device: Device, options: DeviceOptions, pair: Pair, aim: Aim, seed: int, progress: Progress) -> Timings:
    """Run the probe in fresh processes until the limits are decided, or the time is up.

    Raises:
        DeviceFailed: the device was lost. Nothing measured so far is kept: half a benchmark is none.
    """
    results: list[Result] = []
    before = device.facts().conditions
    target = -(-SAMPLES_NEEDED[aim.percentile] // options.processes)
    spent = 0.0
    while True:
        index = len(results)
        share = (options.seconds - spent) / max(1, options.processes - index)
        job = PairsJob(
            pair.a,
            pair.b,
            pair.inputs,
            options.threads,
            share,
            aim.limits,
            target,
            min(aim.percentile_seconds, share),
            THROUGHPUT_BATCH if pair.free_batch else None,
            seed=seed * 1000 + index,
        )
        result = device.run(job, progress.say)
        results.append(result)
        spent += float(result.facts["seconds"])
        timings = Timings(tuple(results), {})
        if len(results) < options.processes:
            continue
        # a process with hardly any time would say little, and the noise floor would suffer from it
        time_is_up = options.seconds - spent < options.seconds / MOST_PROCESSES
        if settled(timings, aim.limits) or time_is_up or len(results) >= MOST_PROCESSES:
            break
    peaks: dict[str, list[dict[str, object]]] = {"a": [], "b": []}
    if aim.memory:
        for _ in range(memory.REPEATS):
            for arm, model in (("a", pair.a), ("b", pair.b)):
                peaks[arm].append(device.run(MemoryJob(model, pair.inputs, options.threads), progress.say).facts)
    return Timings(tuple(results), peaks, {"before": before, "after": device.facts().conditions})


def settled(timings: Timings, limits: tuple[float, ...]) -> bool:
    """Whether every limit lies clear of the interval, and of the noise floor around the ratio."""
    ratio, (low, high) = median_ratio(timings)
    floor = 1 + noise_floor(timings)
    return all((low > limit and ratio > limit * floor) or (high < limit and ratio * floor < limit) for limit in limits)


def measurements(timings: Timings, variant: str, device: str, threads: int) -> Iterator[Measurement]:
    """All figures of a benchmark, from its raw samples."""
    yield from latency.measure(timings, variant, device, threads)
    yield from memory.measure(timings, variant, device)
    yield from energy.measure(variant, device)
