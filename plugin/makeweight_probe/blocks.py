"""Timing in turns of short blocks: every arm once a round, in random order, on the same real sample.

Turns of a single inference would measure models that throw each other out of the caches. The first runs of a block,
which find them filled by another arm, are dropped; how many those are is measured.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight_probe import batches
from makeweight_probe.arm import COLD_NS, Arm, Times
from makeweight_probe.clock import cpu_step_ns, least_ns, step_ns, together
from makeweight_probe.job import BlocksJob, Cold, Result
from makeweight_probe.sequential import all_decided

ARMS = ("a", "b", "control")
WARM_UP_SECONDS = 0.05
MIN_ROUNDS = 24
LOOK_EVERY = 4
KEPT = 5
# A block need not be longer for the sake of its median: a model that takes so long varies less by itself.
LONGEST_KEPT_NS = 20e6
# How far into a block its runs are looked at for whether they still get faster: not only caches have to warm, but on
# some processors the clock rate, too, after another arm that uses its vector units more.
TRIAL_NS = 10e6
TRIALS = 9
# A run is a cold one if in so many of the trials it takes longer than those that follow, by more than that.
MOST_TRIALS, WARM_WITHIN = 2 / 3, 0.025
BATCH_ROUNDS = 10

Arms = Mapping[str, Arm]
Runs = list[list[float]]
"""One list a block."""
Turn = Mapping[str, Times]
"""What every arm took for its block."""


def measure(job: BlocksJob, arms: Arms, samples: int, flush: int | None) -> Result:
    """Time the arms against each other.

    Args:
        arms: each of `ARMS`.
        samples: how many real inputs there are.
        flush: how many bytes to stream through to empty the caches; None: not known here.

    Returns:
        ns per inference by arm and clock (shape [rounds, runs that count]), and what else was asked for.
    """
    rng = np.random.default_rng(job.seed)
    shortest = {arm: _warm_up(arms[arm], samples) for arm in ARMS}
    step = step_ns()
    inner = together(min(shortest.values()), step)
    run = {arm: max(shortest[arm] * inner, least_ns(step)) for arm in ARMS}
    # an odd number, so that the median is one of them
    kept = next((number for number in range(KEPT, 1, -2) if number * max(run.values()) <= LONGEST_KEPT_NS), 1)
    turns = _Turns(arms, samples, inner, kept, rng)
    began = time.perf_counter()
    if job.warming is None:
        trials = _trials(turns, run, job.seconds)
        # the control is the baseline once more
        trials_of = {"a": _runs(trials, "a", "control"), "b": _runs(trials, "b")}
        curves = {model: curve(runs, kept) for model, runs in trials_of.items()}
        a, b = (
            max(warm_after(runs, kept), _cold_runs(run[model], at_most=runs.shape[1] - kept))
            for model, runs in trials_of.items()
        )
    else:
        trials, curves, (a, b) = [], {}, job.warming
    taken = _Taken({"a": a, "b": b, "control": a}, kept)
    for trial in trials:  # they are rounds like the others: what a block of the right length would not have run is cut
        taken.add(trial)
    look = MIN_ROUNDS
    while (spent := time.perf_counter() - began) < job.seconds or not taken.rounds:
        reached = taken.rounds * kept >= job.target_runs or spent >= job.target_seconds
        if reached and taken.rounds >= look:
            if all_decided(taken.medians("a"), taken.medians("b"), job.limits):
                break
            # a look costs time in proportion to the rounds: ever rarer, they stay a small share of it
            look = taken.rounds + max(LOOK_EVERY, taken.rounds // 20)
        taken.add(turns.take(taken.warming))
    # with several threads, the clock of one misses what the others do
    one_thread = job.a.threads == job.b.threads == 1
    result = {
        f"{clock}_{arm}": np.array(values)
        for arm, clocks in taken.runs.items()
        for clock, values in clocks.items()
        if one_thread or clock != "cpu"
    }
    facts: dict[str, Any] = {
        "rounds": taken.rounds,
        "seconds": spent,
        "inner": inner,
        "kept": kept,
        "warming": [a, b],
        "curves": {model: list(times.items()) for model, times in curves.items()},
        "batch": None,
        "steps": {"wall": step / inner, "cold": step},
    }
    if "cpu_a" in result:
        facts["steps"]["cpu"] = cpu_step_ns() / inner
    if job.cold is not None and flush is None:
        facts["no_cold"] = "this system does not tell how large its caches are, so they cannot be emptied for sure"
    elif job.cold is not None and flush is not None:
        for arm in ARMS:
            arms[arm].cold(0, flush)  # so much memory takes its time to be had
        began = time.perf_counter()
        result |= _cold(job.cold, arms, samples, flush, rng)
        facts |= {"flush": flush, "seconds": spent + time.perf_counter() - began}
    if job.batch is not None:
        expected = job.batch * min(shortest.values()) / 1e9
        # each arm once to warm up and once to be timed: what would take longer than all the blocks is not begun
        if 4 * expected > job.seconds:
            facts["no_batches"] = batches.too_long(job.batch, expected)
        else:
            until = time.perf_counter() + job.seconds / 2
            result |= _throughput(arms, job.batch, until, rng, step, facts)
    return Result(result, facts)


def order_of_loading(seed: int) -> list[str]:
    """Where a model lands in memory sways its speed, so the order of the arms is drawn anew in every process."""
    return [ARMS[index] for index in np.random.default_rng(seed + 1).permutation(len(ARMS))]


def medians(runs: NDArray[Any]) -> NDArray[Any]:
    """The value of each block: shape [rounds] from [rounds, runs that count]."""
    values: NDArray[Any] = np.median(runs, axis=1)
    return values


def curve(trials: NDArray[Any], kept: int) -> dict[int, float]:
    """How long the runs of a block take from its first, second, third, fourth, fifth, ninth, … on to the next of these.

    Args:
        trials: ns, shape [blocks, runs]; the last `kept` runs are never split.

    Returns:
        The usual time in ns by the number of runs before.
    """
    return {
        start: float(np.median(np.median(trials[:, start:end], axis=1))) for start, end in _steps(trials.shape[1], kept)
    }


def warm_after(trials: NDArray[Any], kept: int) -> int:
    """How many runs to drop at a block's beginning, at least one: up to the last step of its curve that is a cold one.

    In most of the trials it takes longer than what follows in the same trial, by more than what is let pass.
    """
    cold = [0]
    for start, end in _steps(trials.shape[1], kept)[:-1]:
        step, rest = np.median(trials[:, start:end], axis=1), np.median(trials[:, end:], axis=1)
        if np.mean(step > rest * (1 + WARM_WITHIN)) >= MOST_TRIALS:
            cold.append(end)
    return max(1, *cold)


def _cold_runs(run: float, at_most: int) -> int:
    """How many runs, of so many ns each, a block's beginning holds in any case."""
    return min(int(np.ceil(COLD_NS / run)), at_most)


def _steps(runs: int, kept: int) -> list[tuple[int, int]]:
    """Where the steps of a block's curve begin and end: each but the first few as long as all before it."""
    starts = [start for start in (0, 1, 2, 3, *(4 << i for i in range(30))) if start <= runs - kept]
    return list(zip(starts, [*starts[1:], runs], strict=True))


class _Turns:
    """One block of every arm, in random order, on the same sample."""

    def __init__(self, arms: Arms, samples: int, inner: int, kept: int, rng: np.random.Generator) -> None:
        self._arms = arms
        self._samples = samples
        self._inner = inner
        self._kept = kept
        self._rng = rng

    def take(self, warming: Mapping[str, int]) -> Turn:
        sample = int(self._rng.integers(self._samples))
        order = [ARMS[index] for index in self._rng.permutation(len(ARMS))]
        return {arm: self._arms[arm].block(sample, warming[arm] + self._kept, self._inner) for arm in order}


class _Taken:
    """The runs that count, by arm and clock: a list for each block."""

    def __init__(self, warming: Mapping[str, int], kept: int) -> None:
        self.warming = warming
        self._kept = kept
        self.runs: dict[str, dict[str, Runs]] = {arm: {} for arm in ARMS}

    @property
    def rounds(self) -> int:
        return len(self.runs["a"].get("wall", ()))

    def medians(self, arm: str) -> NDArray[Any]:
        return medians(np.array(self.runs[arm]["wall"]))

    def add(self, turn: Turn) -> None:
        for arm, times in turn.items():
            counting = slice(self.warming[arm], self.warming[arm] + self._kept)
            for clock, runs in times.items():
                self.runs[arm].setdefault(clock, []).append(runs[counting])


def _trials(turns: _Turns, run: Mapping[str, float], seconds: float) -> list[Turn]:
    """Turns of blocks long enough to see when they are warm; one at least, and no more than a quarter of the time.

    Args:
        run: how long one takes, in ns by arm.
    """
    began = time.perf_counter()
    longest = min(TRIAL_NS, seconds * 1e9 / (4 * TRIALS * len(ARMS)))
    at_most = {arm: int(max(longest // run[arm], 1)) for arm in ARMS} | {"control": int(max(longest // run["a"], 1))}
    trials = [turns.take(at_most)]
    while len(trials) < TRIALS and time.perf_counter() - began < seconds / 4:
        trials.append(turns.take(at_most))
    return trials


def _runs(trials: list[Turn], *arms: str) -> NDArray[Any]:
    return np.array([trial[arm]["wall"] for trial in trials for arm in arms])


def _warm_up(arm: Arm, samples: int) -> float:
    """Run until lazily made state is there and the clock is up to speed; the shortest time of one call, in ns."""
    shortest = np.inf
    until = time.perf_counter() + WARM_UP_SECONDS
    count = 0
    while count < 5 or time.perf_counter() < until:
        (took,) = arm.block(count % samples, 1, 1)["wall"]
        shortest = min(shortest, took)
        count += 1
        if count >= 2 and took > 1e9:  # a second each: warm enough
            break
    return float(shortest)


def _cold(asked: Cold, arms: Arms, samples: int, flush: int, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    times: dict[str, list[float]] = {arm: [] for arm in ARMS}
    until = time.perf_counter() + asked.seconds
    while True:
        sample = int(rng.integers(samples))
        for index in rng.permutation(len(ARMS)):
            times[ARMS[index]].append(arms[ARMS[index]].cold(sample, flush))
        a, b = np.array(times["a"]), np.array(times["b"])
        if time.perf_counter() > until or (len(a) >= asked.rounds and all_decided(a, b, asked.limits)):
            return {f"cold_{arm}": np.array(values) for arm, values in times.items()}


def _throughput(
    arms: Arms, size: int, until: float, rng: np.random.Generator, step: int, facts: dict[str, Any]
) -> dict[str, NDArray[Any]]:
    """Note in `facts` which batch it is of, or why there is none."""
    try:
        pair = {arm: arms[arm] for arm in ("a", "b")}
        taken, facts["steps"]["batch"] = batches.turns(pair, size, BATCH_ROUNDS, until, rng, step)
    except batches.NoBatch as error:
        facts["no_batches"] = str(error)
        return {}
    facts["batch"] = size
    return {f"batch_{arm}": values for arm, values in taken.items()}
