"""The arms of a job of two models: opened in this process or in one each, and handed to what times them."""

from __future__ import annotations

import contextlib
import functools
import gc
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from makeweight_probe import batches, blocks, energy, facts, inputs, meters, sessions
from makeweight_probe.answering import answering
from makeweight_probe.arm import Arm, Here
from makeweight_probe.job import CPU, BlocksJob, EnergyJob, MatrixJob, Model, Result, arms_of
from makeweight_probe.meters import NoMeter
from makeweight_probe.outputs import outputs
from makeweight_probe.session import Feeds
from makeweight_probe.worker import TO_ANSWER, Worker


def in_blocks(job: BlocksJob) -> Result:
    read = functools.cache(inputs.read)
    samples = read(job.inputs)
    sizes = inputs.sizes(samples)
    unlike = job.batch is not None and len(sizes) > 1
    if unlike:
        job = replace(job, batch=None)
    cache = facts.last_level_cache() if job.a.execution_provider == CPU else None

    def measure(arms: Mapping[str, Arm]) -> Result:
        return blocks.measure(job, arms, len(samples), None if cache is None else cache * 5 // 4)

    result = _beside_control(job, read, measure, len(samples) if job.outputs else 0)
    result.facts["sizes"] = sizes
    if job.a.execution_provider != CPU and "no_cold" in result.facts:
        result.facts["no_cold"] = "caches of what computes beside the processor cannot be emptied from here"
    if unlike:
        result.facts["no_batches"] = batches.UNLIKE
    return result


def in_batches(job: MatrixJob) -> Result:
    read = functools.cache(inputs.read)
    alike = len(inputs.sizes(read(job.inputs))) == 1
    return _beside_control(job, read, lambda arms: batches.measure(job, arms, alike=alike))


def beside_a_meter(job: EnergyJob) -> Result:
    try:
        meter = meters.find(job.meter)
    except NoMeter as error:
        return Result({}, {"unavailable": str(error)})
    read = functools.cache(inputs.read)
    with contextlib.closing(meter), contextlib.ExitStack() as stack:
        before = facts.conditions()
        arms = _arms(stack, arms_of(job), job.apart, read, energy.block_seconds(meter))
        result = energy.measure(meter, arms, len(read(job.inputs)), np.random.default_rng(job.seed))
        result.facts.update(before=before, after=facts.conditions())
        return result


def _beside_control(
    job: BlocksJob | MatrixJob,
    read: Callable[[str], list[Feeds]],
    measure: Callable[[Mapping[str, Arm]], Result],
    asked: int = 0,
) -> Result:
    """What is measured of the two models and of the first once more, with the state of this machine around it.

    Args:
        asked: how many samples the second model has to answer after that.
    """
    given = arms_of(job)
    given["control"] = given["a"]
    before = facts.conditions()
    with contextlib.ExitStack() as stack:
        ordered = {name: given[name] for name in blocks.order_of_loading(job.seed)}
        arms = _arms(stack, ordered, job.apart, read, job.seconds)
        gc.disable()  # a collection in the middle of a timed call would be charged to that arm
        result = measure(arms)
        after = facts.conditions()  # as it was while times counted
        answered = outputs(arms["b"].answer(sample) for sample in range(asked))
    identity = facts.identity(job.a.execution_provider)
    result.facts.update(apart=job.apart, before=before, after=after, identity=identity)
    return replace(result, outputs=answered)


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
            session = sessions.opened(model)
            arms[name] = Here(session.run, read(fed), inputs.axes(fed), answering(session))
    return arms
