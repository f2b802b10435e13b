"""Pipelines from end to end: two of them in the same turns of blocks as models alone, once they were seen to work.

What each part took of every run is kept beside the whole, and so is what the pipelines returned.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from makeweight_probe import blocks, facts, raw, sessions, users
from makeweight_probe.job import Model, Pipeline, PipelineJob, Result, arms_of
from makeweight_probe.users import CodeFailed, PackageLacking
from makeweight_probe.whole import Checked, whole
from makeweight_probe.worker import TO_ANSWER, Worker


def measure(job: PipelineJob) -> Result:
    """Time two pipelines against each other, see `blocks.measure`: the arrays of its result, and those of each part
    (`preprocess_a`, `model_b`, …) of the same runs.

    Where the user's code fails, the facts say so: `unavailable`, in words; `mistake`, whether it is one of the code;
    `lacking`, a package that is not here.
    """
    # the user's code runs in a folder of its own
    job = job.moved({path: str(Path(path).absolute()) for files in job.files() for path in files})
    asked = job.blocks
    before = facts.conditions()
    around = {"a": job.a, "b": job.b}
    given = {arm: (model, around[arm], fed) for arm, (model, fed) in arms_of(asked).items()}
    given["control"] = given["a"]
    identity = facts.identity(asked.a.execution_provider)
    state: dict[str, Any] = {"before": before, "apart": asked.apart, "identity": identity}
    try:
        with contextlib.ExitStack() as stack:
            folder = None if asked.apart else stack.enter_context(users.unpacked(job.a.sources))
            arms = {
                name: _arm(stack, name, *given[name], folder, asked.seconds)
                for name in blocks.order_of_loading(asked.seed)
            }
            samples = raw.count(job.a.raw)
            told = _answers(arms["a"], arms["b"], samples, asked.seconds)
            arms["control"].checked(0)
            result = blocks.measure(asked, arms, samples, None)
    except PackageLacking as error:
        return Result({}, {**state, "unavailable": str(error), "lacking": [error.package, error.by]})
    except CodeFailed as error:
        return Result({}, {**state, "unavailable": str(error), "mistake": True})
    result.facts.update(state, after=facts.conditions(), answers=told)
    return result


def _arm(
    stack: contextlib.ExitStack,
    name: str,
    model: Model,
    pipeline: Pipeline,
    fed: str,
    folder: Path | None,
    seconds: float,
) -> Any:
    """Args:
    folder: where the user's code lies; None: the arm gets a process of its own, and unpacks it there.
    """
    if folder is None:
        worker = stack.enter_context(Worker(name, model, fed, TO_ANSWER + seconds, pipeline=pipeline))
        worker.wait()
        return worker
    return whole(sessions.opened(model).run, pipeline, fed, folder)


def _answers(a: Checked, b: Checked, samples: int, seconds: float) -> dict[str, Any]:
    """What both return for as many samples as a quarter of the time allows, one at least."""
    until = time.perf_counter() + seconds / 4
    same, seen, exact = 0, 0, True
    first: list[str] = []
    differing: list[Any] = []
    for sample in range(samples):
        own, other = a.checked(sample), b.checked(sample)
        alike = own["digest"] == other["digest"]
        exact = exact and bool(own["exact"] and other["exact"])
        same, seen = same + alike, seen + 1
        first = first or [own["text"], other["text"]]
        if not alike and not differing:
            differing = [sample, own["text"], other["text"]]
        if time.perf_counter() > until:
            break
    return {"samples": seen, "same": same if exact else None, "first": first, "differing": differing}
