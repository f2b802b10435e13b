"""What a probe is asked and what it answers: plain data that travels as one JSON and one .npz file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PROTOCOL = 1
"""Part of every benchmark's key: raise it when figures would no longer be comparable."""


@dataclass(frozen=True)
class Model:
    """A model file and the runtime that opens it."""

    runtime: str
    path: str


@dataclass(frozen=True)
class PairsJob:
    """Time two models in pairs, in one process, with a third arm that is the first model once more (the control).

    A round runs every arm once, in random order, on the same real sample. Rounds go on until each of `limits`
    (ratios time(b)/time(a)) is decided, and `target_rounds` are done or `target_seconds` have passed; at the latest
    when `seconds` have passed.
    """

    a: Model
    b: Model
    inputs: str
    """An .npz of real samples: arrays named `index:input`, as the model takes them."""
    threads: int
    seconds: float
    limits: tuple[float, ...]
    target_rounds: int
    target_seconds: float
    batch: int | None
    """Batch size for throughput; None: the model's batch is fixed, so it is not measured."""
    seed: int


@dataclass(frozen=True)
class MemoryJob:
    """Peak memory of one model by phase: import, load, run."""

    model: Model
    inputs: str
    threads: int
    runs: int = 10


Job = PairsJob | MemoryJob


@dataclass(frozen=True)
class Result:
    """What a probe answers: arrays of raw samples, and facts about the run."""

    samples: dict[str, NDArray[Any]]
    """Pairs: `wall_a`, `wall_b`, `wall_control`, `cpu_…` (ns per inference, shape [rounds]), `batch_a`, `batch_b`
    (ns per batch). Memory: none."""
    facts: dict[str, Any]


def dump_job(job: Job) -> str:
    return json.dumps({"protocol": PROTOCOL, "kind": type(job).__name__, **asdict(job)})


def load_job(text: str) -> Job:
    data = json.loads(text)
    spoken = data.pop("protocol")
    if spoken != PROTOCOL:
        raise ValueError(f"this probe speaks protocol {PROTOCOL}, the job {spoken}; push the probe again")
    kind = data.pop("kind")
    if kind == "PairsJob":
        return PairsJob(**{**data, "a": Model(**data["a"]), "b": Model(**data["b"]), "limits": tuple(data["limits"])})
    if kind == "MemoryJob":
        return MemoryJob(**{**data, "model": Model(**data["model"])})
    raise ValueError(f"unknown job {kind}")


def dump_result(result: Result, path: Path) -> None:
    arrays: dict[str, Any] = dict(result.samples)
    with path.open("wb") as file:
        np.savez(file, facts=np.array(json.dumps(result.facts)), **arrays)


def load_result(path: Path) -> Result:
    with np.load(path, allow_pickle=False) as data:
        facts = json.loads(str(data["facts"]))
        return Result({name: data[name] for name in data.files if name != "facts"}, facts)
