"""`python -m makeweight_probe JOB.json RESULT.npz`: one job in one fresh process."""

from __future__ import annotations

import contextlib
import functools
import gc
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from makeweight_probe import (
    ProbeFailed,
    answers,
    batches,
    blocks,
    energy,
    facts,
    inputs,
    memory,
    meters,
    pipeline,
    profile,
    sessions,
    starts,
)
from makeweight_probe.alone import alone
from makeweight_probe.arm import Arm, Here
from makeweight_probe.job import (
    CPU,
    AnswersJob,
    BlocksJob,
    EnergyJob,
    FactsJob,
    Job,
    MatrixJob,
    Model,
    OutputsJob,
    PipelineJob,
    ProfileJob,
    Result,
    Setting,
    StartsJob,
    arms_of,
    dump_result,
    load_job,
    load_setting,
)
from makeweight_probe.meters import NoMeter
from makeweight_probe.outputs import outputs
from makeweight_probe.session import Feeds, Session
from makeweight_probe.sessions import NoProvider, NoSession
from makeweight_probe.setting import held
from makeweight_probe.worker import TO_ANSWER, Worker

REFUSED = 3
"""The exit code when the job cannot be carried out here; the reason is the last line of the standard error."""
NO_RUNTIME = 4
"""The same where that is because a runtime is not installed."""
NO_PROVIDER = 5
"""The same where what a model is to be computed by, such as a GPU, is not there."""

_CODES: dict[type[ProbeFailed], int] = {NoSession: NO_RUNTIME, NoProvider: NO_PROVIDER}


def main(arguments: list[str]) -> int:
    job_path, result_path = arguments
    try:
        asked = Path(job_path).read_text()
        result = run(load_job(asked), load_setting(asked))
    except ProbeFailed as error:
        sys.stderr.write(f"{error}\n")
        return next((code for kind, code in _CODES.items() if isinstance(error, kind)), REFUSED)
    dump_result(result, Path(result_path))
    return 0


def run(job: Job, setting: Setting = Setting()) -> Result:  # noqa: B008 - it is frozen
    """Args:
        setting: what is changed on this machine while it measures.

    Raises:
    ProbeFailed: it cannot be carried out here.
    """
    if isinstance(job, FactsJob):
        return Result({}, {"identity": facts.identity(job.execution_provider), "conditions": facts.conditions()})
    if isinstance(job, AnswersJob):
        return answers.ask(job)
    if isinstance(job, OutputsJob):
        return Result(outputs(_open(job.model), inputs.read(job.inputs)), {})
    # only who is alone may change what others would measure with
    with alone(), held(setting):
        if isinstance(job, EnergyJob):
            return _energy(job)
        if isinstance(job, ProfileJob):
            return profile.measure(job)
        if isinstance(job, PipelineJob):
            return pipeline.measure(job)
        if isinstance(job, StartsJob):
            return starts.measure(job)
        if isinstance(job, MatrixJob):
            return _matrix(job)
        return _blocks(job) if isinstance(job, BlocksJob) else memory.measure(job)


def _blocks(job: BlocksJob) -> Result:
    read = functools.cache(inputs.read)
    samples = read(job.inputs)
    sizes = inputs.sizes(samples)
    unlike = job.batch is not None and len(sizes) > 1
    if unlike:
        job = replace(job, batch=None)
    cache = facts.last_level_cache() if job.a.execution_provider == CPU else None

    def measure(arms: Mapping[str, Arm]) -> Result:
        return blocks.measure(job, arms, len(samples), None if cache is None else cache * 5 // 4)

    result = _beside_control(job, read, measure)
    result.facts["sizes"] = sizes
    if job.a.execution_provider != CPU and "no_cold" in result.facts:
        result.facts["no_cold"] = "caches of what computes beside the processor cannot be emptied from here"
    if unlike:
        result.facts["no_batches"] = batches.UNLIKE
    return result


def _matrix(job: MatrixJob) -> Result:
    read = functools.cache(inputs.read)
    alike = len(inputs.sizes(read(job.inputs))) == 1
    return _beside_control(job, read, lambda arms: batches.measure(job, arms, alike=alike))


def _beside_control(
    job: BlocksJob | MatrixJob, read: Callable[[str], list[Feeds]], measure: Callable[[Mapping[str, Arm]], Result]
) -> Result:
    """What is measured of the two models and of the first once more, with the state of this machine around it."""
    given = arms_of(job)
    given["control"] = given["a"]
    before = facts.conditions()
    with contextlib.ExitStack() as stack:
        ordered = {name: given[name] for name in blocks.order_of_loading(job.seed)}
        arms = _arms(stack, ordered, job.apart, read, job.seconds)
        gc.disable()  # a collection in the middle of a timed call would be charged to that arm
        result = measure(arms)
    identity = facts.identity(job.a.execution_provider)
    result.facts.update(apart=job.apart, before=before, after=facts.conditions(), identity=identity)
    return result


def _energy(job: EnergyJob) -> Result:
    try:
        meter = meters.find(job.meter)
    except NoMeter as error:
        return Result({}, {"unavailable": str(error)})
    read = functools.cache(inputs.read)
    with contextlib.closing(meter), contextlib.ExitStack() as stack:
        arms = _arms(stack, arms_of(job), job.apart, read, energy.block_seconds(meter))
        return energy.measure(meter, arms, len(read(job.inputs)), np.random.default_rng(job.seed))


def _arms(
    stack: contextlib.ExitStack,
    given: Mapping[str, tuple[Model, str]],
    apart: bool,
    read: Callable[[str], list[Feeds]],
    seconds: float,
) -> dict[str, Arm]:
    """Loaded models, by the name of their arm: each in a process of its own, which ends with the stack, or all in this
    one.

    Args:
        given: each model, and the file of its samples.
        read: those samples; arms that are fed alike share them.
        seconds: the longest that one may take for an answer, beside what loading takes.
    """
    arms: dict[str, Arm] = {}
    for name, (model, fed) in given.items():
        if apart:
            worker = stack.enter_context(Worker(name, model, fed, TO_ANSWER + seconds))
            worker.wait()
            arms[name] = worker
        else:
            arms[name] = Here(_open(model).run, read(fed), inputs.axes(fed))
    return arms


def _open(model: Model) -> Session:
    return sessions.opened(model)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
