"""Pipelines from end to end, and cold starts: the figures of latency, of other raw times; and where the time goes.

What each part took was timed in the very runs that the whole was, so the shares of a model's pipeline are of its own
time and add up to it, but for the clock's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from makeweight.budget.measurand import Measurand
from makeweight.budget.metric import Metric, times
from makeweight.layout import BASELINE
from makeweight.measure import latency
from makeweight.measure.parts import PARTS, SAME_ANSWERS
from makeweight.measure.timings import Timings
from makeweight.measurement import Measurement, unavailable

_ALL = "what the pipelines of both return holds numbers that are no integers, so that equal answers cannot be counted"


def measure(timings: Timings, variant: str, device: str, threads: int) -> Iterator[Measurement]:
    """Of what was asked for: end-to-end latency with the shares of its parts, and cold starts."""
    if timings.end_to_end:
        whole = Timings(timings.end_to_end, {})
        reason = failure(timings)
        if reason is not None:
            yield from _absent(times("end_to_end"), reason, variant, device)
        else:
            yield from latency.family(whole, times("end_to_end"), variant, device, threads)
            yield from _shares(whole, variant, device)
            yield _answers(whole, variant, device)
    if timings.starts is not None and "unavailable" in timings.starts.facts:
        yield from _absent(times("start"), str(timings.starts.facts["unavailable"]), variant, device)
    elif timings.starts is not None:
        yield from latency.family(Timings((timings.starts,), {}), times("start"), variant, device, threads)


def _absent(metrics: Iterable[Metric], reason: str, variant: str, device: str) -> Iterator[Measurement]:
    for metric in metrics:
        yield unavailable(Measurand(metric.name), variant, "s", reason, device=device)
        yield unavailable(Measurand(metric.name, "ratio"), variant, "ratio", reason, device=device)


def failure(timings: Timings) -> str | None:
    """Why the pipelines could not be timed."""
    return next((str(told["unavailable"]) for told in _facts(timings) if "unavailable" in told), None)


def mistake(timings: Timings) -> str | None:
    """What of it the user's own code does that it should not."""
    told = (facts for facts in _facts(timings) if facts.get("mistake"))
    return next((str(facts["unavailable"]) for facts in told), None)


def _facts(timings: Timings) -> Iterator[dict[str, Any]]:
    return (result.facts for result in timings.end_to_end)


def _shares(whole: Timings, variant: str, device: str) -> Iterator[Measurement]:
    """Of the time of a pipeline, by part: the median over all runs, and those of the single processes as its range."""
    if whole.emulated is not None:
        return
    for arm, name, against in (("b", variant, None), ("a", BASELINE, variant)):
        walls = whole.runs(f"wall_{arm}")
        for part, metric in PARTS.items():
            each = [own / all_of_it for own, all_of_it in zip(whole.runs(f"{part}_{arm}"), walls, strict=True)]
            pooled, medians = np.concatenate(each), [float(np.median(shares)) for shares in each]
            value, interval = float(np.median(pooled)), (min(medians), max(medians))
            method = f"of the same runs as the whole, range of {len(each)} processes"
            yield Measurement(metric, name, "fraction", value, interval, len(pooled), method, against, device)


def _answers(whole: Timings, variant: str, device: str) -> Measurement:
    """For how many raw samples both returned the same."""
    told = [result.facts["answers"] for result in whole.processes]
    best = max(told, key=lambda each: int(each["samples"]))
    first, other = best["first"]
    if best["same"] is None:
        reason = f"{_ALL}; of the first sample the baseline's is {first}, and this {other}"
        return unavailable(Measurand(SAME_ANSWERS), variant, "fraction", reason, device=device)
    detail = f"such as {first}"
    if best["differing"]:
        number, before, after = best["differing"]
        detail = f"sample {number}: {before} became {after}"
    figure = Measurement(SAME_ANSWERS, variant, "fraction", best["same"] / best["samples"], None, best["samples"])
    return replace(figure, method="what both pipelines return", against=BASELINE, device=device, detail=detail)
