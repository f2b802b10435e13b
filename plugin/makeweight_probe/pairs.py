"""Paired timing: every arm once a round, in random order, on the same real sample."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight_probe.job import PairsJob, Result
from makeweight_probe.sequential import decide

Sample = dict[str, NDArray[Any]]
Run = Callable[[Sample], object]

ARMS = ("a", "b", "control")
WARM_UP_SECONDS = 0.05
MIN_ROUNDS = 32
LOOK_EVERY = 16
# Below this a single call is timed with the clock's own error; several calls are timed together instead.
SHORTEST_TIMED_NS = 10_000
BATCH_ROUNDS = 10


def measure(job: PairsJob, runs: Mapping[str, Run], samples: list[Sample], batch: Sample | None) -> Result:
    """Time the arms against each other.

    Args:
        runs: one callable for each of `ARMS`.
        samples: real inputs, each of batch size one (or the model's fixed batch).
        batch: one larger input for throughput, or None.

    Returns:
        ns per inference by arm and clock (shape [rounds]), ns per batch by arm (at most BATCH_ROUNDS).
    """
    rng = np.random.default_rng(job.seed)
    shortest = min(_warm_up(runs[arm], samples) for arm in ARMS)
    inner = max(1, int(np.ceil(SHORTEST_TIMED_NS / max(shortest, 1))))
    wall: dict[str, list[float]] = {arm: [] for arm in ARMS}
    cpu: dict[str, list[float]] = {arm: [] for arm in ARMS}
    began = time.perf_counter()
    rounds, look = 0, MIN_ROUNDS
    while True:
        sample = samples[int(rng.integers(len(samples)))]
        for index in rng.permutation(len(ARMS)):
            arm = ARMS[index]
            run = runs[arm]
            cpu_start, wall_start = time.thread_time_ns(), time.perf_counter_ns()
            for _ in range(inner):
                run(sample)
            wall_end, cpu_end = time.perf_counter_ns(), time.thread_time_ns()
            wall[arm].append((wall_end - wall_start) / inner)
            cpu[arm].append((cpu_end - cpu_start) / inner)
        rounds += 1
        spent = time.perf_counter() - began
        if spent >= job.seconds:
            break
        reached = rounds >= job.target_rounds or spent >= job.target_seconds
        if reached and rounds >= look:
            if _decided(wall, job.limits):
                break
            # a look costs time in proportion to the rounds: ever rarer, they stay a small share of it
            look = rounds + max(LOOK_EVERY, rounds // 20)
    result = {f"wall_{arm}": np.array(values) for arm, values in wall.items()}
    if job.threads == 1:  # with more, a thread's clock misses what the others do
        result |= {f"cpu_{arm}": np.array(values) for arm, values in cpu.items()}
    facts: dict[str, Any] = {"rounds": rounds, "inner": inner, "seconds": spent, "batch": None}
    if batch is not None and job.batch is not None:
        expected = job.batch * shortest / 1e9
        # each arm once to warm up and once to be timed: what would take longer than all the pairs is not begun
        if 4 * expected > job.seconds:
            facts["no_batches"] = f"a batch of {job.batch} takes about {expected:.2g} s, too long for the time given"
        else:
            result |= _throughput(runs, batch, rng, allowance=job.seconds / 2)
            facts["batch"] = job.batch
    return Result(result, facts)


def _decided(wall: Mapping[str, list[float]], limits: tuple[float, ...]) -> bool:
    ratios = np.log(np.array(wall["b"]) / np.array(wall["a"]))
    return all(decide(ratios, limit) != "undecided" for limit in limits)


def _warm_up(run: Run, samples: list[Sample]) -> int:
    """Run until caches and lazily made state are warm; the shortest time of one call, in ns."""
    shortest = 0
    until = time.perf_counter() + WARM_UP_SECONDS
    count = 0
    while count < 5 or time.perf_counter() < until:
        start = time.perf_counter_ns()
        run(samples[count % len(samples)])
        took = time.perf_counter_ns() - start
        shortest = took if count == 0 else min(shortest, took)
        count += 1
        if count >= 2 and took > 1e9:  # a second each: warm enough
            break
    return shortest


def _throughput(
    runs: Mapping[str, Run], batch: Sample, rng: np.random.Generator, allowance: float
) -> dict[str, NDArray[Any]]:
    arms = ("a", "b")
    times: dict[str, list[int]] = {arm: [] for arm in arms}
    for arm in arms:
        runs[arm](batch)
    until = time.perf_counter() + allowance
    for _ in range(BATCH_ROUNDS):
        for index in rng.permutation(len(arms)):
            start = time.perf_counter_ns()
            runs[arms[index]](batch)
            times[arms[index]].append(time.perf_counter_ns() - start)
        if time.perf_counter() > until:
            break
    return {f"batch_{arm}": np.array(values) for arm, values in times.items()}
