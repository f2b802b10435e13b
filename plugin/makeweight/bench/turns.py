"""Jobs on a device without Python: the programs that it has time the models, in turns of blocks, each in a process.

A process has to load the model anew, so there are fewer and longer blocks than where arms stay loaded.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.devices.device import DeviceFailed, Programmed, Timer
from makeweight.programs.program import Told
from makeweight_base.errors import UsageError
from makeweight_probe import energy, inputs
from makeweight_probe.arm import Times
from makeweight_probe.blocks import ARMS
from makeweight_probe.job import (
    AnswersJob,
    BlocksJob,
    EnergyJob,
    FactsJob,
    Job,
    LackingJob,
    MatrixJob,
    MemoryJob,
    Model,
    PipelineJob,
    ProfileJob,
    Result,
    Setting,
    StartsJob,
    arms_of,
)
from makeweight_probe.power import NoMeter
from makeweight_probe.sequential import all_decided

BLOCK_SECONDS = 0.2
"""Of inferences that count, in a block."""
MOST_RUNS = 2000
FEWEST_ROUNDS = 8
"""So many pairs on one side are the fewest that decide anything."""
_TRIED = 3
"""Inferences by which a model's time is found."""
_MS = 1e6
_NO_OPERATORS = "programs that time a model tell nothing of its operators"
_NO_PIPELINE = "there is no Python there, so your code around the model cannot run"
_NO_STARTS = "programs that time a model tell nothing of how long it takes to load"
_NO_BATCHES = "programs that time a model run one batch"
_WITH_PYTHON = "Measure it where there is Python: `python:` of an `adb` device, or one over `ssh`."
_NOT_TOLD = "what runs the programs does not tell it"
_CONDITIONS = {"load": "load", "temperature": "temperature_millicelsius", "frequency": "frequency_khz"}


def carry_out(device: Programmed, job: Job, tell: Callable[[str], None], setting: Setting) -> Result:
    """Carry out a job of the probe, as far as programs can.

    Raises:
        UsageError: no program is declared that runs such a model, or something is to be set on the device.
        DeviceFailed: the device was lost, or a program fails there.
    """
    if isinstance(job, FactsJob | LackingJob):
        told: dict[str, Any] = {"identity": device.identity(), "conditions": device.conditions()}
        more = {"lacking": _lacking(device, job, told["conditions"])} if isinstance(job, LackingJob) else {}
        return Result({}, {**told, **more})
    if isinstance(job, AnswersJob):
        raise DeviceFailed("programs that time a model tell no answers of it", where=f"device `{device.name}`")
    if isinstance(job, ProfileJob):
        return Result({}, {"profiles": [{"unavailable": _NO_OPERATORS} for _ in job.models]})
    if isinstance(job, PipelineJob):
        return Result({}, {"unavailable": _NO_PIPELINE})
    if isinstance(job, StartsJob):
        return Result({}, {"unavailable": _NO_STARTS})
    if isinstance(job, MatrixJob):
        return Result({}, {"unavailable": _NO_BATCHES})
    if setting != Setting():
        where, do = f"device `{device.name}`", "Leave `cpus` and `governor` out."
        raise UsageError("without Python there nothing can be set while it measures", where=where, do=do)
    with device.alone(tell):
        if isinstance(job, BlocksJob):
            return _blocks(device, job)
        return _energy(device, job) if isinstance(job, EnergyJob) else _memory(device, job)


def _lacking(device: Programmed, job: LackingJob, conditions: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """As the probe tells it of machines with Python."""
    reasons = {
        "operators": _NO_OPERATORS,
        "end-to-end latency": _NO_PIPELINE,
        "cold starts": _NO_STARTS,
        "throughput": _NO_BATCHES,
        "cold latency": "caches cannot be emptied between two inferences of a program",
        "cpu time": "programs that time a model tell no times of the processor",
        **{what: _NOT_TOLD for what, fact in _CONDITIONS.items() if conditions.get(fact) is None},
    }
    try:
        device.meter(job.meter).close()
    except NoMeter as error:
        reasons["energy"] = str(error)
    return {what: (reason, _WITH_PYTHON) for what, reason in reasons.items()}


def _blocks(device: Programmed, job: BlocksJob) -> Result:
    before = device.conditions()
    a, b = (_timer(device, *each) for each in arms_of(job).values())
    arms = {"a": a, "b": b, "control": a}
    runs = {"a": _fill(a, BLOCK_SECONDS), "b": _fill(b, BLOCK_SECONDS)}
    runs["control"] = runs["a"]
    rng = np.random.default_rng(job.seed)
    taken: dict[str, list[Told]] = {arm: [] for arm in ARMS}
    began = time.perf_counter()
    while True:
        for index in rng.permutation(len(ARMS)):
            arm = ARMS[index]
            taken[arm].append(arms[arm].run(runs[arm]))
        spent = time.perf_counter() - began
        if spent >= job.seconds or _enough(taken, job, spent):
            break
    means = dict.fromkeys(each.program for arm, each in (("a", a), ("b", b)) if _averages(taken[arm]))
    taken = _alike(taken)
    kept = min(len(told.times) for each in taken.values() for told in each)
    samples = {f"wall_{arm}": _last(each, kept) for arm, each in taken.items()}
    step = max(min(told.step for told in taken[arm]) for arm in ("a", "b"))
    state = {"before": before, "after": device.conditions(), "identity": device.identity()}
    programs = " and ".join(dict.fromkeys(each.program for each in (a, b)))
    fed = dict.fromkeys(f"{each.program} with {each.feeds}" for each in (a, b))
    facts: dict[str, Any] = {
        "rounds": len(taken["a"]),
        "seconds": spent,
        "inner": 1,
        "kept": kept,
        "warming": [0, 0],
        "curves": {},
        "batch": None,
        "apart": True,
        "averaged": min(told.averaged for told in taken["b"]),
        "steps": {"wall": step},
        "sizes": [_middle(job.inputs)],
        "lived": f"a process of {programs} a block, fed by {', '.join(fed)}{_steps(step)}",
        "no_cpu": f"{programs} tells no times of the processor",
        "no_cold": f"caches cannot be emptied between two inferences of {programs}",
        "no_batches": f"{programs} runs one batch",
        **state,
    }
    if means:
        facts["no_singles"] = f"{' and '.join(means)} tells the mean of a block, which hides the tail"
    return Result(samples, facts)


def _enough(taken: dict[str, list[Told]], job: BlocksJob, spent: float) -> bool:
    rounds = len(taken["a"])
    reached = sum(len(told.times) * told.averaged for told in taken["b"]) >= job.target_runs
    if rounds < FEWEST_ROUNDS or not (reached or spent >= job.target_seconds):
        return False
    alike = _alike(taken)
    a, b = (np.array([np.median(told.times) for told in alike[arm]]) for arm in ("a", "b"))
    if min(a.min(), b.min()) <= 0:
        return False  # what reads the times says so
    return all_decided(a, b, job.limits)


def _averages(each: list[Told]) -> bool:
    return any(told.averaged > 1 for told in each)


def _alike(taken: dict[str, list[Told]]) -> dict[str, list[Told]]:
    """As means, all of them, where a program tells no more than those: beside a median, a mean is the slower for what
    interrupts a block now and then."""
    if not any(map(_averages, taken.values())):
        return taken
    return {arm: [_mean(told) for told in each] for arm, each in taken.items()}


def _mean(told: Told) -> Told:
    """Of a block of which more is told."""
    if told.averaged > 1:
        return told
    return replace(told, times=(float(np.mean(told.times)),), averaged=len(told.times))


def _steps(step: float) -> str:
    return f", its times in steps of {step / _MS:g} ms" if step else ""


def _last(each: list[Told], kept: int) -> NDArray[Any]:
    """The last times of each block, as many as the shortest has: the first are the ones that warm it up."""
    return np.array([told.times[-kept:] for told in each], dtype=float)


def _memory(device: Programmed, job: MemoryJob) -> Result:
    timer = _timer(device, job.model, job.inputs)
    told = timer.run(job.runs)
    if told.memory is None:
        return Result({}, {"unavailable": timer.memory})
    return Result({}, {**told.memory, "method": f"{timer.memory}, range of {{}} repeats"})


def _energy(device: Programmed, job: EnergyJob) -> Result:
    try:
        meter = device.meter(job.meter)
    except NoMeter as error:
        return Result({}, {"unavailable": str(error)})
    with contextlib.closing(meter):
        before = device.conditions()
        arms = {name: _Block(_timer(device, *each)) for name, each in arms_of(job).items()}
        found = energy.measure(meter, arms, 1, np.random.default_rng(job.seed))
        found.facts.update(before=before, after=device.conditions())
    if "source" in found.facts:
        found.facts["source"] = f"{found.facts['source']}, a program's start and the model's loading with it"
    return found


class _Block:
    """A timer as an arm that takes long blocks."""

    def __init__(self, timer: Timer) -> None:
        self._timer = timer

    def block(self, sample: int, runs: int, inner: int) -> Times:  # noqa: ARG002  (a program has inputs of its own)
        told = self._timer.run(runs * inner)
        return {"wall": list(told.times)}


def _timer(device: Programmed, model: Model, samples: str) -> Timer:
    return device.timer(model, _middle(samples))


def _middle(samples: str) -> dict[str, tuple[int, ...]]:
    """The sizes that the middle one of the samples has: a program runs one."""
    sizes = inputs.sizes(inputs.read(samples))
    return sizes[len(sizes) // 2]


def _fill(timer: Timer, seconds: float) -> int:
    """How many inferences make a block, an odd number."""
    each = float(np.median(timer.run(_TRIED).times)) * 1e-9
    wanted = math.ceil(seconds / each) if each > 0 else MOST_RUNS
    return min(max(wanted, 1), MOST_RUNS) | 1
