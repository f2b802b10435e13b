"""One arm of a comparison: a loaded model that runs when it is told to, and times itself."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from makeweight_probe import inputs
from makeweight_probe.inputs import NO_AXES, Axes
from makeweight_probe.session import Feeds

COLD_NS = 2e6
"""For so long after another arm a model is slower than when it runs alone. One of microseconds gets faster so slowly
that no step of its curve stands out; `benchmarks/warm_ratio.py` prints what is left of that."""

Times = dict[str, list[float]]
"""By clock, what each run took, in ns per inference: `wall`, `cpu` (of this thread), and the parts that an arm tells
apart."""


class Timed(Protocol):
    """What is timed in blocks. Where it runs is its own business: in this process, in another, in a program of the
    runtime's own."""

    def block(self, sample: int, runs: int, inner: int) -> Times:
        """Run a sample `runs` times over; each time `inner` inferences are timed together."""


class Arm(Timed, Protocol):
    """A loaded model, which can be had alone and in batches."""

    def cold(self, sample: int, flush: int) -> float:
        """One run, in ns of wall time, after streaming through `flush` bytes so that no cache holds the model."""

    def batch(self, size: int, warming: int, runs: int, inner: int) -> float:
        """Batches of `size` samples one after the other: `warming` that do not count, then `runs` times `inner`
        timed together; ns of wall time of a batch, the median of the runs."""

    def answer(self, sample: int) -> list[NDArray[Any]]:
        """What it answers to a sample: outputs in the model's order."""


class Here:
    """An arm in this process."""

    def __init__(
        self,
        run: Callable[[Feeds], list[NDArray[Any]]],
        samples: Sequence[Feeds],
        along: Axes = NO_AXES,
        answer: Callable[[Feeds], list[NDArray[Any]]] | None = None,
    ) -> None:
        """Args:
        run: what is timed.
        answer: what is asked where the answer is looked at; None: the same.
        """
        self._run = run
        self._answer = answer or run
        self._samples = samples
        self._along = along
        self._joined: tuple[int, Feeds] | None = None

    def block(self, sample: int, runs: int, inner: int) -> Times:
        run, feeds = self._run, self._samples[sample]
        wall: list[float] = []
        cpu: list[float] = []
        for _ in range(runs):
            cpu_start, wall_start = time.thread_time_ns(), time.perf_counter_ns()
            for _ in range(inner):
                run(feeds)
            wall_end, cpu_end = time.perf_counter_ns(), time.thread_time_ns()
            wall.append((wall_end - wall_start) / inner)
            cpu.append((cpu_end - cpu_start) / inner)
        return {"wall": wall, "cpu": cpu}

    def cold(self, sample: int, flush: int) -> float:
        rubbish = _rubbish(flush)
        np.add(rubbish, 1, out=rubbish)
        return self._once(self._samples[sample])

    def batch(self, size: int, warming: int, runs: int, inner: int) -> float:
        if self._joined is None or self._joined[0] != size:  # one at a time: large ones take their memory
            self._joined = size, _of(self._samples, size, self._along)
        run, feeds = self._run, self._joined[1]
        for _ in range(warming):
            run(feeds)
        wall: list[float] = []
        for _ in range(runs):
            start = time.perf_counter_ns()
            for _ in range(inner):
                run(feeds)
            wall.append((time.perf_counter_ns() - start) / inner)
        return float(np.median(wall))

    def answer(self, sample: int) -> list[NDArray[Any]]:
        return self._answer(self._samples[sample])

    def _once(self, feeds: Feeds) -> float:
        start = time.perf_counter_ns()
        self._run(feeds)
        return float(time.perf_counter_ns() - start)


@functools.lru_cache(maxsize=1)
def _rubbish(size: int) -> NDArray[Any]:
    """What fills the caches instead; the arms of one process share it."""
    return np.ones(size, np.uint8)


def _of(samples: Sequence[Feeds], size: int, along: Axes) -> Feeds:
    """One batch of so many samples, the first ones over again where there are too few."""
    return inputs.joined([samples[i % len(samples)] for i in range(size)], along)
