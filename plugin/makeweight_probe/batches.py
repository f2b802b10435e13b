"""Throughput: how long batches take, each size by itself, with the models in turns."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight_probe import ArmLost, ProbeFailed, in_a_line
from makeweight_probe.arm import COLD_NS, Arm
from makeweight_probe.clock import step_ns, together
from makeweight_probe.job import MatrixJob, Result

UNLIKE = "the samples have different sizes, so they make no batch"
TURN_NS = 5e6
"""The batches of a turn that count take so long together. Its value is their median, so that what is interrupted now
and then does not count."""
_LONG_NS = COLD_NS / 0.025
"""From here on what the first batches lose to cold caches is too little to be seen, so none is dropped."""
_CALLED = {"a": "the baseline", "b": "the variant", "control": "the baseline"}


class NoBatch(ProbeFailed):
    """A model does not take so many examples at once."""


def turns(
    arms: Mapping[str, Arm], size: int, rounds: int, until: float, rng: np.random.Generator, step: int
) -> tuple[dict[str, NDArray[Any]], float]:
    """Batches of one size. In a round every arm has a turn, in random order.

    Args:
        size: how many samples make a batch.
        rounds: at most; one in any case.
        until: by `time.perf_counter`, after which no round is begun.
        step: of the clock, in ns.

    Returns:
        ns of one batch, by arm: the median of each turn; shape [rounds]. And the step in which those go.

    Raises:
        NoBatch: a model does not take so many.
    """
    took = {name: _once(name, arm, size) for name, arm in arms.items()}
    inner = together(min(took.values()), step)
    plans = {name: _plan(ns, inner) for name, ns in took.items()}
    names = list(arms)
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for index in rng.permutation(len(names)):
            name = names[index]
            times[name].append(arms[name].batch(size, *plans[name]))
        if time.perf_counter() > until:
            break
    return {name: np.array(values) for name, values in times.items()}, step / inner


def measure(job: MatrixJob, arms: Mapping[str, Arm], *, alike: bool) -> Result:
    """Time the arms on each of the batch sizes, the smallest first; each has an equal part of the time that is left.

    Args:
        alike: whether all samples have the same shapes.

    Returns:
        ns of one batch by size and arm, `batch8_a`, shape [rounds]; facts `lacking`, by size why it was not timed, and
        `steps`, by size in which steps its times go, `batch8`.
    """
    step, steps = step_ns(), dict[str, float]()
    rng = np.random.default_rng(job.seed)
    began = time.perf_counter()
    samples: dict[str, NDArray[Any]] = {}
    lacking: dict[str, str] = {}
    sizes, each, rounds = sorted(job.batches), 0.0, 0
    for place, size in enumerate(sizes):
        now = time.perf_counter()
        share = max(began + job.seconds - now, 0.0) / (len(sizes) - place)
        joined = size // job.examples
        # of an example in the batch before; all arms once to be warm and once to be timed
        expected = each * size
        if not alike:
            lacking[f"{size}"] = UNLIKE
            continue
        if 2 * len(arms) * expected > share:
            lacking[f"{size}"] = too_long(size, expected)
            continue
        try:
            taken, steps[f"batch{size}"] = turns(arms, joined, job.rounds, now + share, rng, step)
        except NoBatch as error:
            lacking[f"{size}"] = str(error)
            continue
        except ArmLost as error:
            lacking |= {f"{left}": str(error) for left in sizes[place:]}
            break
        each = max(float(np.median(values)) for values in taken.values()) / 1e9 / size
        rounds += min(map(len, taken.values()))
        samples |= {f"batch{size}_{arm}": values for arm, values in taken.items()}
    told = {"lacking": lacking, "rounds": rounds, "seconds": time.perf_counter() - began, "inner": 1, "steps": steps}
    return Result(samples, told)


def too_long(size: int, seconds: float) -> str:
    return f"a batch of {size} takes about {seconds:.2g} s, too long for the time given"


def _once(name: str, arm: Arm, size: int) -> float:
    """ns that a batch takes about."""
    try:
        took = arm.batch(size, 0, 1, 1)  # makes what is made lazily
        return took if took >= _LONG_NS else min(took, arm.batch(size, 0, 1, 1))
    except ProbeFailed:
        raise
    except Exception as error:
        raise NoBatch(f"{_CALLED[name]} does not take {size} at once: {in_a_line(error)}") from error


def _plan(took: float, inner: int) -> tuple[int, int, int]:
    """How many batches of a turn are dropped, how many times it is timed, and how many batches together."""
    if not took:  # nobody knows how many of what shows no time fill a turn
        return 0, 1, inner
    return int(np.ceil(COLD_NS / took)) if took < _LONG_NS else 0, int(np.ceil(TURN_NS / (took * inner))), inner
