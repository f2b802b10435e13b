"""Timings: the raw samples of one benchmark. Every decision about latency or memory is computed from these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.measure import archive
from makeweight_probe import throttling
from makeweight_probe.blocks import medians
from makeweight_probe.job import Result

EMULATED = "the processor is emulated, so neither times nor energy say anything about a real one"
_ENERGY, _OUTPUTS, _STARTS, _WHOLE, _MATRIX = "energy", "outputs", "starts", "end_to_end", "matrix"


@dataclass(frozen=True)
class Timings:
    """One pair of models on one device: what each process of the probe answered.

    `processes`: see `Result.samples`; ns. `memory`: facts of the memory jobs, by arm (`a` the baseline, `b` the
    variant). `profiles`: by arm, what the probe's `profile.measure` answers; none where it was not asked for.
    """

    processes: tuple[Result, ...]
    memory: dict[str, list[dict[str, Any]]]
    energy: Result | None = None
    """None: it was not asked for."""
    outputs: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """What the variant answered there; see `makeweight_probe/outputs.py`."""
    profiles: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    end_to_end: tuple[Result, ...] = ()
    """The same of the pipelines, process by process; empty where there are none."""
    starts: Result | None = None
    """Of cold starts; None: they were not asked for."""
    matrix: tuple[Result, ...] = ()
    """Of batches of several sizes, process by process; facts `threads`, `batches` (those asked for) and `lacking` (why
    some could not be had, by batch). Empty where none was asked for."""

    @property
    def seconds(self) -> float:
        """Time spent in timed rounds."""
        return sum(float(result.facts["seconds"]) for result in self.processes)

    @property
    def rounds(self) -> int:
        return sum(int(result.facts["rounds"]) for result in self.processes)

    @property
    def conditions(self) -> dict[str, dict[str, Any]]:
        """The device's load, governor, temperature: `before` and `after`. Never part of a key."""
        if not self.processes:
            return {}
        return {"before": self.processes[0].facts["before"], "after": self.processes[-1].facts["after"]}

    @property
    def states(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """The conditions before and after each process; empty ones where it told none."""
        return [(each.facts.get("before", {}), each.facts.get("after", {})) for each in self.processes]

    @property
    def identity(self) -> dict[str, Any]:
        """What machine it was, as it said itself, for the key."""
        told: dict[str, Any] = self.processes[-1].facts["identity"]
        return told

    @property
    def emulated(self) -> str | None:
        """What is said of times and energy where another processor imitated that machine's; None where none did."""
        imitated = any(result.facts.get("identity", {}).get("emulated") for result in self.processes)
        return EMULATED if imitated else None

    @property
    def slowed(self) -> str | None:
        """What slowed that machine down in one of the processes; None where nothing did."""
        told = (throttling.objection(before, after) for before, after in self.states)
        return next((reason for reason in told if reason is not None), None)

    def step(self, clock: str) -> float:
        """By how many ns the times of a clock go (`wall`, `cpu`, `cold`, `batch8`); 0: it is too small to matter."""
        each = (result.facts.get("steps", {}) for result in self.processes)
        return max((float(steps.get(clock, 0.0)) for steps in each), default=0.0)

    @property
    def where(self) -> str:
        """How the arms lived."""
        if (lived := self.told("lived")) is not None:
            return lived
        return "a process an arm" if any(result.facts["apart"] for result in self.processes) else "in one process"

    def told(self, fact: str) -> str | None:
        """Something that a process tells in words, if any does: `no_cold` why there are no runs with empty caches,
        `no_cpu` no times of a processor, `no_singles` no times of single inferences, `no_batches` no throughput, and
        `lived` where the arms ran."""
        return next((str(result.facts[fact]) for result in self.processes if result.facts.get(fact)), None)

    @property
    def fed(self) -> str:
        """The sizes of what the models were fed with, where there were several: `words` [1, 4] to [1, 31]."""
        several = {name: each for name, each in self.sizes.items() if len(each) > 1}
        return ", ".join(f"`{name}` {each[0]} to {each[-1]}" for name, each in several.items())

    @property
    def sizes(self) -> dict[str, list[list[int]]]:
        """The shapes that each input had, from the smallest sample to the largest."""
        told: list[dict[str, list[int]]] = self.processes[0].facts.get("sizes", []) if self.processes else []
        names = told[0] if told else {}
        return {name: [list(s) for s in dict.fromkeys(tuple(each[name]) for each in told)] for name in names}

    def runs(self, name: str) -> list[NDArray[Any]]:
        """Every run that counts, one array per process: `wall_b`, `cpu_a`. Empty when it was not measured."""
        return [result.samples[name].ravel() for result in self.processes if name in result.samples]

    def turns(self, name: str) -> list[NDArray[Any]]:
        """The value of each turn: of a block its median, of a single run itself. One array per process."""
        taken = [result.samples[name] for result in self.processes if name in result.samples]
        return [values if values.ndim == 1 else medians(values) for values in taken]

    def log_ratios(self, clock: str, arm: str = "b") -> list[NDArray[Any]]:
        """log(time(arm) / time(a)) of every round, one array per process. `clock` is `wall`, `cpu` or `cold`."""
        return [np.log(b / a) for a, b in zip(self.turns(f"{clock}_a"), self.turns(f"{clock}_{arm}"), strict=True)]


def write(path: Path, timings: Timings) -> None:
    about: dict[str, Any] = {
        "processes": [result.facts for result in timings.processes],
        "memory": timings.memory,
        "profiles": dict(timings.profiles),
        _WHOLE: [result.facts for result in timings.end_to_end],
        _MATRIX: [result.facts for result in timings.matrix],
    }
    groups = {f"{index}": result.samples for index, result in enumerate(timings.processes)}
    groups |= {f"{_WHOLE}{index}": result.samples for index, result in enumerate(timings.end_to_end)}
    groups |= {f"{_MATRIX}{index}": result.samples for index, result in enumerate(timings.matrix)}
    for job, result in ((_ENERGY, timings.energy), (_STARTS, timings.starts)):
        if result is not None:
            about[job], groups[job] = result.facts, result.samples
    archive.write(path, about, {**groups, _OUTPUTS: timings.outputs})


def read(path: Path) -> Timings:
    """Read what `write` wrote.

    Raises:
        UsageError: there is no such file, or it is damaged.
    """
    about, groups = archive.read(path, "timings")

    def each(prefix: str, told: Sequence[dict[str, Any]]) -> tuple[Result, ...]:
        return tuple(Result(groups.get(f"{prefix}{index}", {}), facts) for index, facts in enumerate(told))

    def one(job: str) -> Result | None:
        return Result(groups.get(job, {}), about[job]) if job in about else None

    try:
        processes, whole = each("", about["processes"]), each(_WHOLE, about.get(_WHOLE, ()))
        outputs, profiles = groups.get(_OUTPUTS, {}), about.get("profiles", {})
        matrix = each(_MATRIX, about.get(_MATRIX, ()))
        return Timings(processes, about["memory"], one(_ENERGY), outputs, profiles, whole, one(_STARTS), matrix)
    except (KeyError, TypeError) as error:
        raise archive.damaged(path, error) from error
