"""One benchmark on a device: processes of blocks until it is decided, then peak memory and what else is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from makeweight.bench import grid, pipelines, probe
from makeweight.bench.aim import Aim
from makeweight.bench.grid import Grid
from makeweight.devices.device import Device, DeviceOptions, GivenUp
from makeweight.measure import end_to_end, energy, latency, memory, throughput
from makeweight.measure.latency import LAUNCHES, median_ratio, noise_floor
from makeweight.measure.statistics import MEDIAN, samples_needed
from makeweight.measure.timings import Timings
from makeweight.measurement import Measurement
from makeweight_base.progress import Progress
from makeweight_probe import room, stolen
from makeweight_probe.job import (
    BlocksJob,
    Cold,
    EnergyJob,
    Job,
    MatrixJob,
    MemoryJob,
    Model,
    Pipeline,
    PipelineJob,
    ProfileJob,
    Result,
    StartsJob,
)

MOST_PROCESSES = 12
THROUGHPUT_BATCH = 32
_MORE_THAN_FIT = 10**9
"""Runs, into any time."""
MOST_REPEATS, COOLING = 2, 20.0
"""How often a process is measured again that a device was slowed down in, and the seconds of rest before."""


@dataclass(frozen=True)
class Pair:
    """Two models to be compared, and what to feed them."""

    a: Model
    b: Model
    inputs: str
    free_batch: bool
    """Whether both take batches of any size."""
    apart: bool = False
    """Give each arm a process of its own, also where they could share one."""
    inputs_b: str | None = None
    """What to feed `b` with where it takes other types; None: the same."""
    around: tuple[Pipeline, Pipeline] | None = None
    """The pipelines that the two stand in; None: there are none."""

    @property
    def arms(self) -> dict[str, tuple[Model, str]]:
        """Each with what it is fed with."""
        return {"a": (self.a, self.inputs), "b": (self.b, self.inputs_b or self.inputs)}


def carry_out(
    device: Device,
    options: DeviceOptions,
    pair: Pair,
    aim: Aim,
    seed: int,
    progress: Progress,
    rest: Callable[[float], None] = time.sleep,
    *,
    memory_of_a: memory.Facts = (),
) -> Timings:
    """Run the probe in fresh processes until the limits are decided, or the time is up. A process in which the device
    was slowed down is measured again, and kept as it is where that goes on.

    Args:
        memory_of_a: what a benchmark before this one was told of the memory of `pair.a` there.

    Raises:
        DeviceFailed: the device was lost. Nothing measured so far is kept: half a benchmark is none.
    """

    def ask(job: Job) -> Result:
        return probe.run(device, job, progress.say, options.setting)

    apart = pair.apart or not pair.a.shares_a_process_with(pair.b)

    def samples(quantile: float) -> int:
        """How many each process has to find."""
        return _MORE_THAN_FIT if aim.at_length else -(-samples_needed(quantile) // options.processes)

    def blocks(
        share: float, index: int, warming: Warming, limits: tuple[float, ...], quantile: float, most: float
    ) -> BlocksJob:
        """Args:
        most: seconds to spend on the quantile, when all else is decided.
        """
        return BlocksJob(
            pair.a,
            pair.b,
            pair.inputs,
            apart,
            warming,
            share,
            limits,
            samples(quantile),
            share if aim.at_length else min(most, share),
            batch=None,
            cold=None,
            seed=seed * 1000 + index,
            inputs_b=pair.inputs_b,
        )

    def of_models(share: float, index: int, warming: Warming) -> Result:
        if aim.cold_limits is not None:
            share /= 2  # the other half is for runs with empty caches
        job = blocks(share, index, warming, aim.limits, aim.quantile, aim.quantile_seconds)
        cold = None if aim.cold_limits is None else Cold(aim.cold_limits, samples(MEDIAN), share)
        batch = THROUGHPUT_BATCH if pair.free_batch else None
        # one is enough, and it has the model open
        return ask(replace(job, batch=batch, cold=cold, outputs=aim.answers and index == 0))

    def of_pipelines(share: float, index: int, warming: Warming) -> Result:
        assert pair.around is not None  # noqa: S101 - asked before
        job = blocks(share, index, warming, aim.end_to_end_limits, aim.end_to_end_quantile, aim.end_to_end_seconds)
        return _end_to_end(ask, device, job, *pair.around)

    def decided(timings: Timings) -> bool:
        return settled(timings, aim.limits) and settled(timings, aim.cold_limits or (), "cold")

    results = _launched(options, of_models, decided, rest, progress)
    for remark in room.remarks(results[0].facts.get("before", {}), max(pair.a.threads, pair.b.threads)):
        progress.say(f"  {remark}")
    if (said := stolen.remark(Timings(results, {}).states)) is not None:
        progress.say(f"  {said}")
    whole: tuple[Result, ...] = ()
    if pair.around is not None:
        progress.say("  end to end: from a raw sample to what is made of the answer")
        whole = _launched(
            options, of_pipelines, lambda timings: settled(timings, aim.end_to_end_limits), rest, progress
        )
    emulated = Timings(results, {}).emulated

    def of_times(job: Job) -> Result:
        """What it answers; or why that would not count, at no cost."""
        return ask(job) if emulated is None else Result({}, {"unavailable": emulated})

    def undisturbed(job: Job, saying: str) -> Result:
        """The same of a job that is one process by itself."""
        if emulated is None:
            progress.say(saying)
        result, repeated = of_times(job), 0
        while _measured_again(result, repeated, rest, progress):
            result, repeated = of_times(job), repeated + 1
        return result

    starts = None
    if aim.start_limits is not None:
        limits = aim.start_limits
        asked = StartsJob(pair.a, pair.b, pair.inputs, LAUNCHES, options.seconds, limits, seed, pair.inputs_b)
        starts = undisturbed(asked, "  cold starts: fresh processes in turns")
    peaks: dict[str, list[dict[str, Any]]] = {arm: [] for arm in pair.arms}
    if aim.memory:
        peaks = _peaks(ask, pair, options.processes, memory_of_a)
    energy = None
    if aim.energy:
        long_blocks = EnergyJob(pair.a, pair.b, pair.inputs, apart, options.energy_meter, seed, pair.inputs_b)
        energy = undisturbed(long_blocks, "  energy: long blocks in turns, with rests between them")
    profiles: dict[str, dict[str, Any]] = {}
    if aim.profile and emulated is None:
        profiles = _profiles(ask, pair, apart)
    elif aim.profile:
        profiles = {arm: {"unavailable": emulated} for arm in pair.arms}
    matrix: list[Result] = []
    if aim.matrix is not None:
        if aim.matrix.feasible and emulated is None:
            progress.say(f"  throughput: {aim.matrix}")
        for threads in aim.matrix.threads:
            # last, and all of them: whatever becomes of many threads, the other figures are there
            process = _cells(of_times, pair, apart, aim.matrix, threads, seed)
            found = _launched(options, process, lambda _: True, rest, progress)
            matrix += [aim.matrix.told(threads, each) for each in found]
    return Timings(results, peaks, energy, results[0].outputs, profiles, whole, starts, tuple(matrix))


def _cells(ask: Callable[[Job], Result], pair: Pair, apart: bool, asked: Grid, threads: int, seed: int) -> Process:
    """A process of the cells on one number of threads: a session keeps the one that it was opened with."""
    a, b = (replace(model, threads=threads) for model in (pair.a, pair.b))

    def process(share: float, index: int, _: Warming) -> Result:
        if not asked.feasible:
            return Result({}, {"unavailable": "none of these batches can be asked for"})
        given = asked.feasible, asked.examples, grid.ROUNDS, share, seed * 1000 + index, pair.inputs_b
        try:
            return ask(MatrixJob(a, b, pair.inputs, apart, *given))
        except (probe.JobFailed, GivenUp) as error:  # the other figures are there, and stay
            return Result({}, {"unavailable": f"the process that measured it ended: {error.what}"})

    return process


def _peaks(
    ask: Callable[[Job], Result], pair: Pair, processes: int, of_a: memory.Facts
) -> dict[str, list[dict[str, Any]]]:
    """What processes of each model tell of its memory, by arm, until one cannot, or more would tell nothing new.

    Args:
        processes: of each at most.
        of_a: what some told before. It does not depend on when that was.
    """
    found: dict[str, list[dict[str, Any]]] = {"a": list(of_a), "b": []}
    if any("unavailable" in facts for facts in of_a):
        return found
    while due := [arm for arm in pair.arms if not memory.enough(found[arm], processes)]:
        for arm in due:
            found[arm].append(ask(MemoryJob(*pair.arms[arm])).facts)
            if "unavailable" in found[arm][-1]:
                return found
    return found


def _profiles(ask: Callable[[Job], Result], pair: Pair, apart: bool) -> dict[str, dict[str, Any]]:
    """What the operators of both models take, by arm."""
    found: dict[str, dict[str, Any]] = {}
    for arms in (("a",), ("b",)) if apart else (("a", "b"),):
        job = ProfileJob(tuple(pair.arms[arm] for arm in arms))
        try:
            told = ask(job).facts["profiles"]
        except (probe.JobFailed, GivenUp) as error:  # the figures are there, and stay, also where a profiler crashes
            told = [{"unavailable": str(error)} for _ in arms]
        found |= dict(zip(arms, told, strict=True))
    return found


Warming = tuple[int, int] | None
"""How many runs warm a block, which the first process measures."""
Process = Callable[[float, int, Warming], Result]
"""Runs one for so many seconds; with its number."""


def _launched(
    options: DeviceOptions,
    process: Process,
    decided: Callable[[Timings], bool],
    rest: Callable[[float], None],
    progress: Progress,
) -> tuple[Result, ...]:
    """Fresh processes, until what they found is decided, or the time is up, or one could not carry its job out, or no
    time counts there."""
    results: list[Result] = []
    repeated, spent = 0, 0.0
    while True:
        index = len(results)
        share = (options.seconds - spent) / max(1, options.processes - index)
        warming = results[0].facts.get("warming") if results else None
        result = process(share, index, warming and tuple(warming))
        if "unavailable" in result.facts or Timings((result,), {}).emulated is not None:
            return (result,)  # of an emulated processor no time counts, and one process tells that
        if _measured_again(result, repeated, rest, progress):
            repeated += 1
            continue
        results.append(result)
        spent += float(result.facts["seconds"])
        if len(results) < options.processes:
            continue
        # a process with hardly any time would say little, and the noise floor would suffer from it
        time_is_up = options.seconds - spent < options.seconds / MOST_PROCESSES
        if decided(Timings(tuple(results), {})) or time_is_up or len(results) >= MOST_PROCESSES:
            return tuple(results)


def _measured_again(result: Result, repeated: int, rest: Callable[[float], None], progress: Progress) -> bool:
    """Whether the device was slowed down meanwhile, and another time is worth while; after a rest.

    Args:
        repeated: how often it was so before.
    """
    slowed = Timings((result,), {}).slowed
    if slowed is None or repeated >= MOST_REPEATS or "unavailable" in result.facts:
        return False
    progress.say(f"  {slowed}: measured again after {COOLING:g} s of rest ({repeated + 1} of {MOST_REPEATS})")
    rest(COOLING)
    return True


def _end_to_end(ask: Callable[[Job], Result], device: Device, job: BlocksJob, one: Pipeline, other: Pipeline) -> Result:
    """A process of the pipelines, as of the models; why there is none where the user's code ends it."""
    try:
        result = ask(PipelineJob(replace(job, apart=job.apart or one.sources != other.sources), one, other))
    except (probe.JobFailed, GivenUp) as failure:
        # the models alone ran there, so it is the user's code that ended it
        return Result({}, {"unavailable": f"the process that ran the pipeline ended: {failure.what}"})
    if (lacks := result.facts.get("lacking")) is not None:
        result.facts["unavailable"] = pipelines.lacking(device, *lacks)
    return result


@dataclass(frozen=True)
class Ratio:
    """time(b)/time(a), and what is known of it. A limit is told from it where it lies clear of the interval, and of the
    noise floor around the ratio."""

    value: float
    interval: tuple[float, float]
    noise_floor: float

    def below(self, limit: float) -> bool:
        """Whether it is, for sure."""
        return self.interval[1] < limit and self.value * (1 + self.noise_floor) < limit

    def above(self, limit: float) -> bool:
        """Whether it is, for sure."""
        return self.interval[0] > limit and self.value > limit * (1 + self.noise_floor)


def ratio_of(timings: Timings, clock: str = "wall") -> Ratio:
    """Of the medians by that clock."""
    return Ratio(*median_ratio(timings, clock), noise_floor(timings, clock))


def settled(timings: Timings, limits: tuple[float, ...], clock: str = "wall") -> bool:
    """Whether every limit is told from the ratio."""
    if not limits or not timings.turns(f"{clock}_b"):
        return True  # nothing to tell, or nothing to tell it by
    ratio = ratio_of(timings, clock)
    return all(ratio.above(limit) or ratio.below(limit) for limit in limits)


def measurements(timings: Timings, variant: str, device: str, threads: int) -> Iterator[Measurement]:
    """All figures of a benchmark, from its raw samples."""
    yield from latency.measure(timings, variant, device, threads)
    yield from throughput.measure(timings, variant, device)
    yield from memory.measure(timings, variant, device)
    yield from energy.measure(timings, variant, device)
    yield from end_to_end.measure(timings, variant, device, threads)
