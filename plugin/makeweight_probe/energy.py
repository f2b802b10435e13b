"""Energy of one inference: long blocks of two models in turns, by a meter, without what the machine takes idle."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping

import numpy as np

from makeweight_probe.arm import Timed
from makeweight_probe.job import Result
from makeweight_probe.meters import Meter, NoMeter

ROUNDS = 9
"""Enough for an interval of the median at 95 % that leaves the outermost on each side out."""
SECONDS = 1.0
"""Of a block: a thousand updates of RAPL's counters."""
_TRIED = 5
"""Runs by which an inference's time is found."""


def measure(
    meter: Meter,
    arms: Mapping[str, Timed],
    samples: int,
    order: np.random.Generator,
    clock: Callable[[], float] = time.monotonic,
    rest: Callable[[float], None] = time.sleep,
) -> Result:
    """Answers `joules_a` and `joules_b` (J per inference, one for each round), `idle` (W, before each round and at the
    end); facts `source` and `inferences`, how many made a block. Where the meter fails the one fact is `unavailable`,
    with the reason.

    Args:
        samples: how many there are; each round has the next.
    """
    try:
        return _in_turns(meter, arms, samples, order, clock, rest)
    except NoMeter as error:
        return Result({}, {"unavailable": str(error)})


def _in_turns(
    meter: Meter,
    arms: Mapping[str, Timed],
    samples: int,
    order: np.random.Generator,
    clock: Callable[[], float],
    rest: Callable[[float], None],
) -> Result:
    length = block_seconds(meter)
    inferences = {name: _fill(arm, length) for name, arm in arms.items()}
    raw: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
    idle = []
    for number in range(ROUNDS):
        idle.append(_watts(meter, clock, lambda: rest(length)))
        for name in order.permutation(list(arms)):
            block = functools.partial(arms[name].block, number % samples, 1, inferences[name])
            taken, seconds = _spent(meter, clock, block)
            if taken <= 0:
                raise NoMeter(f"{meter.source} stands still while the processor works")
            raw[name].append((taken, seconds))
    idle.append(_watts(meter, clock, lambda: rest(length)))
    watts = np.array(idle)
    beside = (watts[:-1] + watts[1:]) / 2
    found = {"idle": watts}
    for name, blocks in raw.items():
        taken, seconds = np.array(blocks).T
        found[f"joules_{name}"] = (taken - beside * seconds) / inferences[name]
    return Result(found, {"source": meter.source, "inferences": inferences})


def block_seconds(meter: Meter) -> float:
    """How long a block is, by that meter."""
    return getattr(meter, "seconds", None) or SECONDS


def _fill(arm: Timed, seconds: float) -> int:
    """How many inferences make a block."""
    arm.block(0, _TRIED, 1)
    each = float(np.median(arm.block(0, _TRIED, 1)["wall"])) * 1e-9
    return max(1, round(seconds / max(each, 1e-9)))


def _watts(meter: Meter, clock: Callable[[], float], meanwhile: Callable[[], object]) -> float:
    joules, seconds = _spent(meter, clock, meanwhile)
    return joules / seconds


def _spent(meter: Meter, clock: Callable[[], float], meanwhile: Callable[[], object]) -> tuple[float, float]:
    """Joules and seconds. What a meter takes to answer, at the end, is no part of them."""
    begun = clock()
    before = meter.joules()
    meanwhile()
    ended = clock()
    return meter.joules() - before, ended - begun
