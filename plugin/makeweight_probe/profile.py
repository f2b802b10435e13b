"""Which operators take a model's time, as its runtime's own profiler tells."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from makeweight_probe import in_a_line, inputs, sessions
from makeweight_probe.job import Model, ProfileJob, Result
from makeweight_probe.session import Span

WARMING = 5
MOST, SECONDS = 50, 1.0
"""Inferences that count, and how long they may take; one in any case."""
_SLOW = 1.0
"""Seconds of an inference from which one is enough to warm up."""


def measure(job: ProfileJob) -> Result:
    """Answers the fact `profiles`, one a model in the job's order: `runs`, `inference_ns` (the median inference while
    it is profiled), `resolution_ns`, and `operators`, the longest first: `name`, `kind`, `ran` (see `session.Ran`),
    `ns`. Where there is none it has `unavailable`, with the reason.

    Raises:
        NoSession: nobody here opens a model.
    """
    return Result({}, {"profiles": [_of(model, given) for model, given in job.models]})


def _of(model: Model, given: str) -> dict[str, Any]:
    profiling = sessions.profiling(model)
    if isinstance(profiling, str):
        return {"unavailable": profiling}
    samples = inputs.read(given)
    try:
        session = profiling.open_profiled(model.path, model.threads)
        warming, taken = 0, list[float]()
        until = time.perf_counter() + SECONDS
        while len(taken) < MOST and (not taken or time.perf_counter() < until):
            start = time.perf_counter_ns()
            session.run(samples[(warming + len(taken)) % len(samples)])
            spent = time.perf_counter_ns() - start
            if warming < WARMING and (not warming or spent * 1e-9 < _SLOW):
                warming, until = warming + 1, time.perf_counter() + SECONDS
            else:
                taken.append(spent)
        spans = session.spans()[warming:]
    except Exception as error:  # noqa: BLE001 - a profile only explains figures, and is no reason to have none
        return {"unavailable": f"the profiler of {model.runtime} failed: {in_a_line(error)}"}
    if len(spans) != len(taken) or not any(spans):
        return {"unavailable": f"the profiler of {model.runtime} told nothing of {len(taken)} inferences"}
    told = {"runs": len(taken), "inference_ns": float(np.median(taken)), "resolution_ns": session.resolution}
    return {**told, "operators": summed(spans)}


def summed(runs: Sequence[Sequence[Span]]) -> list[dict[str, Any]]:
    """What each operator took in an inference, without those within it, in ns: the mean of the middle half of the
    inferences, since many take less than a profiler tells apart. One that works several times in an inference, as in a
    loop, counts with all of them."""
    found: dict[tuple[str, str, str | None], list[float]] = {}
    for number, spans in enumerate(runs):
        for span, ns in zip(spans, _own(spans), strict=True):
            taken = found.setdefault((span.name, span.kind, span.ran), [0.0] * len(runs))
            taken[number] += ns
    operators = [
        {"name": name, "kind": kind, "ran": ran, "ns": _middle(taken)} for (name, kind, ran), taken in found.items()
    ]
    return sorted(operators, key=lambda each: (-each["ns"], each["name"]))


def _middle(values: Sequence[float]) -> float:
    cut = len(values) // 4
    return float(np.mean(sorted(values)[cut : len(values) - cut]))


def _own(spans: Sequence[Span]) -> list[float]:
    """The time of each span that no span within it has."""
    own = [span.ns for span in spans]
    open_: list[int] = []
    for place in sorted(range(len(spans)), key=lambda place: (spans[place].start, -spans[place].ns)):
        span = spans[place]
        while open_ and spans[open_[-1]].start + spans[open_[-1]].ns < span.start + span.ns:
            open_.pop()  # it has ended, or its end is rounded: what reaches beyond it is not within it
        if open_:
            own[open_[-1]] -= span.ns
        open_.append(place)
    return [max(ns, 0.0) for ns in own]
