"""Cold starts: how long a fresh process takes to load a model and to answer for the first time.

Every launch is a process of its own, and the baseline, the variant and the baseline once more take turns in random
order. The runtime is imported before the clock starts: that is the same for every model. The model's file has been
read before, so it comes from the system's cache.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from typing import Any

import numpy as np

from makeweight_probe import ProbeFailed, facts, inputs, sessions
from makeweight_probe.blocks import ARMS
from makeweight_probe.clock import step_ns
from makeweight_probe.job import Model, Result, StartsJob, arms_of, load_model
from makeweight_probe.last_words import ended
from makeweight_probe.leaving import leave
from makeweight_probe.sequential import all_decided

_LONGEST = 4
"""Times the seconds that were given, after which even too few launches have to do."""
_PATIENCE = 600.0


def measure(job: StartsJob) -> Result:
    """Launch them in turns until every limit is decided, or the time is up.

    Returns:
        ns by launch, `start_a`, `start_b`, `start_control`, shape [launches].

    Raises:
        ProbeFailed: a launch failed.
    """
    rng = np.random.default_rng(job.seed)
    given = arms_of(job)
    given["control"] = given["a"]
    times: dict[str, list[float]] = {arm: [] for arm in ARMS}
    before = facts.conditions()
    for arm in ("a", "b"):
        _launch(*given[arm], 0)  # brings the files and the runtime's code into the system's cache
    began = time.perf_counter()
    while True:
        for index in rng.permutation(len(ARMS)):
            arm = ARMS[index]
            times[arm].append(_launch(*given[arm], int(rng.integers(4096))))
        spent, count = time.perf_counter() - began, len(times["a"])
        a, b = np.array(times["a"]), np.array(times["b"])
        enough = count >= job.launches and (spent >= job.seconds or all_decided(a, b, job.limits))
        if enough or spent >= _LONGEST * job.seconds:
            break
    identity = facts.identity(job.a.execution_provider)
    known: dict[str, Any] = {"before": before, "after": facts.conditions(), "identity": identity}
    told = {"rounds": count, "seconds": spent, "inner": 1, "apart": True, "steps": {"start": step_ns()}, **known}
    return Result({f"start_{arm}": np.array(values) for arm, values in times.items()}, told)


def _launch(model: Model, fed: str, offset: int) -> float:
    """ns from the model's file to the first answer, in a fresh process.

    Args:
        offset: by so many bytes its environment, and with it its stack, is longer.
    """
    command = [sys.executable, *(["-P"] if sys.flags.safe_path else []), "-m", __name__]
    environment = {**os.environ, "MAKEWEIGHT_OFFSET": "x" * offset}
    asked = json.dumps({"model": asdict(model), "inputs": fed})
    try:
        done = subprocess.run(
            command,
            input=asked,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            env=environment,
            timeout=_PATIENCE,
        )
    except subprocess.TimeoutExpired as error:
        raise ProbeFailed(f"a launch has not answered for {_PATIENCE:g} s") from error
    told = done.stdout.strip()
    if done.returncode != 0 or not told.isdecimal():
        raise ProbeFailed(f"a launch ended with {ended(done.returncode, done.stderr)}")
    return float(told)


def start(model: Model, fed: str) -> int:
    """ns from the model's file to the first answer, in this process."""
    opener = sessions.of(model)
    opener.warm_import()
    (feeds, *_) = inputs.read(fed)
    begun = time.perf_counter_ns()
    opener.open_session(model.path, model.threads).run(feeds)
    return time.perf_counter_ns() - begun


def main() -> None:
    # what a runtime prints, at its end too, must not stand beside the answer
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)
        asked = json.loads(sys.stdin.read())
        try:
            took = start(load_model(asked["model"]), asked["inputs"])
        except ProbeFailed as error:
            sys.exit(str(error))
        answer.write(f"{took}\n")


if __name__ == "__main__":
    main()
    leave(0)
