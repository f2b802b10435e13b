"""Timings: the raw samples of one benchmark. Every decision about latency or memory is computed from these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.measure import archive
from makeweight_probe.job import Result


@dataclass(frozen=True)
class Timings:
    """One pair of models on one device: what each process of the probe answered.

    `pairs`: see `Result.samples`; ns. `memory`: facts of the memory jobs, by arm (`a` the baseline, `b` the variant).
    """

    pairs: tuple[Result, ...]
    memory: dict[str, list[dict[str, Any]]]
    conditions: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The device's load, governor, temperature: `before` and `after`. Recorded, never part of a key."""

    @property
    def seconds(self) -> float:
        """Time spent in timed rounds."""
        return sum(float(result.facts["seconds"]) for result in self.pairs)

    @property
    def rounds(self) -> int:
        return sum(int(result.facts["rounds"]) for result in self.pairs)

    def each(self, name: str) -> list[NDArray[Any]]:
        """One array per process; empty when that was not measured."""
        return [result.samples[name] for result in self.pairs if name in result.samples]

    def log_ratios(self, clock: str, arm: str = "b") -> list[NDArray[Any]]:
        """log(time(arm) / time(a)) of every round, one array per process. `clock` is `wall` or `cpu`."""
        return [np.log(b / a) for a, b in zip(self.each(f"{clock}_a"), self.each(f"{clock}_{arm}"), strict=True)]


def write(path: Path, timings: Timings) -> None:
    arrays: dict[str, Any] = {
        f"{index}:{name}": values
        for index, result in enumerate(timings.pairs)
        for name, values in result.samples.items()
    }
    about = {
        "processes": [result.facts for result in timings.pairs],
        "memory": timings.memory,
        "conditions": timings.conditions,
    }
    archive.write(path, about, arrays)


def read(path: Path) -> Timings:
    """Read what `write` wrote.

    Raises:
        UsageError: there is no such file, or it is damaged.
    """
    about, arrays = archive.read(path, "timings")
    try:
        pairs = tuple(Result(_of(index, arrays), facts) for index, facts in enumerate(about["processes"]))
        return Timings(pairs, about["memory"], about["conditions"])
    except (KeyError, TypeError) as error:
        raise archive.damaged(path, error) from error


def _of(index: int, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The arrays of one process."""
    prefix = f"{index}:"
    return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}
