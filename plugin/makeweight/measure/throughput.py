"""Throughput from raw times of batches: of the one size that every benchmark takes, and of a matrix of sizes and
threads where the device's entry asks for one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np

from makeweight.budget.measurand import Measurand
from makeweight.layout import BASELINE
from makeweight.measure.latency import (
    by_a_step,
    interval_of,
    meaningless,
    median_ratio,
    medians,
    noise_floor,
    too_coarse,
)
from makeweight.measure.statistics import MEDIAN
from makeweight.measure.timings import Timings
from makeweight.measurement import Measurement, unavailable

_NAME, _UNIT = "throughput", "1/s"
_NS = 1e9


def measure(timings: Timings, variant: str, device: str) -> Iterator[Measurement]:
    """Examples per second of a variant on a device, and the baseline's beside it."""
    yield from _of_one_size(timings, variant, device)
    for threads, processes in groupby(timings.matrix, lambda result: int(result.facts["threads"])):
        part = Timings(tuple(processes), {})
        for batch in part.processes[0].facts["batches"]:
            of = Measurand(_NAME, batch=int(batch), threads=threads)
            reason = meaningless(timings) or _lacking(part, int(batch))
            if reason is None:
                yield from _cell(part, of, variant, device)
                continue
            yield unavailable(of, variant, _UNIT, reason, device=device)
            yield unavailable(of.compared("ratio"), variant, "ratio", reason, device=device)


def _lacking(part: Timings, batch: int) -> str | None:
    """Why there is no figure of a batch on that number of threads."""
    if not part.turns(f"batch{batch}_b"):
        told = (each.facts["lacking"].get(f"{batch}") for each in part.processes)
        return (
            next((reason for reason in told if reason), None) or part.told("unavailable") or "there was no time for it"
        )
    if (reason := meaningless(part)) is not None:
        return reason
    return too_coarse(part, f"batch{batch}", "batches")


def _cell(part: Timings, of: Measurand, variant: str, device: str) -> Iterator[Measurement]:
    """The variant's and the baseline's figure, and the ratio of the two over the same pairs of turns."""
    clock, batch = f"batch{of.batch}", of.batch or 0
    taken = [each for each in part.processes if f"{clock}_b" in each.samples]
    told = f"{len(taken)} process{'es' * (len(taken) != 1)}, {part.where}, in turns of batches in random order"
    pairs = sum(map(len, part.turns(f"{clock}_b")))
    more: dict[str, Any] = {
        "noise_floor": noise_floor(part, clock), "device": device, "batch": of.batch, "threads": of.threads,
    }  # fmt: skip
    for arm, seconds in medians(part, clock).items():
        name, against = (variant, None) if arm == "b" else (BASELINE, variant)
        low, high = interval_of(part, clock, arm, MEDIAN, seconds)
        method = f"{told}, order statistics"
        yield Measurement(
            _NAME, name, _UNIT, batch / seconds, (batch / high, batch / low), pairs, method, against, **more
        )
    slower, (low, high) = median_ratio(part, clock)
    if not math.isfinite(high):
        yield unavailable(of.compared("ratio"), variant, "ratio", "too few pairs for an interval", device=device)
        return
    method = f"{told}, anytime-valid sign test"
    interval = (1 / high, 1 / low)
    yield Measurement(
        _NAME, variant, "ratio", 1 / slower, interval, pairs, method, BASELINE, comparison="ratio", **more
    )


def _of_one_size(timings: Timings, variant: str, device: str) -> Iterator[Measurement]:
    reason = meaningless(timings)
    if reason is None and not timings.runs("batch_b"):
        reason = timings.told("no_batches") or "it is asked for one fixed batch, so there are no batches to fill"
    if reason is None:
        reason = too_coarse(timings, "batch", "batches", "ab")
    if reason is not None:
        yield unavailable(Measurand(_NAME), variant, _UNIT, reason, device=device)
        return
    batch = next(int(result.facts["batch"]) for result in timings.processes if result.facts["batch"])
    # no control takes turns in batches
    floor = max(noise_floor(timings), math.expm1(by_a_step(timings, "batch")))
    for arm, name, against in (("a", BASELINE, variant), ("b", variant, None)):
        each = timings.runs(f"batch_{arm}")
        rates = batch * _NS / np.concatenate(each)
        rate = float(np.median(rates))
        low, high = interval_of(timings, "batch", arm, MEDIAN, batch / rate)
        told = f"batches of {batch}, {len(each)} process{'es' * (len(each) != 1)}, order statistics"
        figure = Measurement(_NAME, name, _UNIT, rate, (batch / high, batch / low), len(rates), told, against, device)
        yield replace(figure, noise_floor=floor)
