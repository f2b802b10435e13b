"""Blocks of programs on a device of paper: means beside single inferences, and times that are told in coarse steps."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from makeweight.bench import turns
from makeweight.bench.sitting import settled
from makeweight.measure import latency
from makeweight.measure.samples import store
from makeweight.measure.timings import Timings
from makeweight.programs import lines
from makeweight.programs.program import Told
from makeweight_probe.job import BlocksJob, FactsJob, LackingJob, Model, Setting
from makeweight_probe.power import NoMeter


@dataclass(frozen=True)
class Timer:
    program: str
    tell: Callable[[int], Told]
    feeds: str = "numbers"
    memory: str = "none"

    def run(self, runs: int) -> Told:
        return self.tell(runs)


class Paper:
    """A device with a program for each model."""

    name = "board"

    def __init__(self, **programs: Callable[[int], Told]) -> None:
        self._programs = programs

    def identity(self) -> dict[str, Any]:
        return {"emulated": False}

    conditions = dict

    def timer(self, model: Model, _: object) -> Timer:
        return Timer(f"program-{model.path}", self._programs[model.path])

    def alone(self, _: object) -> Any:
        return contextlib.nullcontext()


def measured(folder: Path, device: Any) -> Timings:
    store(folder / "inputs.npz", [{"x": np.zeros((1, 4), np.float32)}])
    a, b = (Model("onnxruntime", path, 1) for path in "ab")
    job = BlocksJob(a, b, str(folder / "inputs.npz"), True, None, 60.0, (1.05,), 1, 0.0, None, None, 1)
    return Timings((turns.carry_out(device, job, print, Setting()),), {})


def each(runs: int) -> Told:
    """Every fifth inference is interrupted, and takes two ms in place of one."""
    return Told(tuple(2e6 if run % 5 == 4 else 1e6 for run in range(runs)))


def mean(runs: int) -> Told:
    """The same, of which no more is told than the mean."""
    return Told((float(np.mean(each(runs).times)),), averaged=runs)


@pytest.mark.parametrize(("a", "b"), [(mean, each), (each, mean)], ids=["of the baseline", "of the variant"])
def test_beside_a_mean_all_are_means(tmp_path: Path, a: Callable[[int], Told], b: Callable[[int], Told]) -> None:
    """One model by two programs: with a mean beside a median, the one would be a fifth slower than itself, and its 99th
    percentile half of its own."""
    found = {
        m.measurand.name: m
        for m in latency.measure(measured(tmp_path, Paper(a=a, b=b)), "int8", "board", 1)
        if m.variant == "int8"
    }
    assert found["latency_p50_ratio"].value == pytest.approx(1.0, rel=0.01)
    assert found["latency_p50"].value == pytest.approx(1.2e-3, rel=0.01)
    told = f"program-{'a' if a is mean else 'b'} tells the mean of a block, which hides the tail"
    assert (found["latency_p99"].reason, found["latency_p99_ratio"].reason) == (told, told)


def test_where_all_tell_single_inferences_a_block_is_their_median(tmp_path: Path) -> None:
    found = {m.measurand.name: m for m in latency.measure(measured(tmp_path, Paper(a=each, b=each)), "b", "board", 1)}
    assert found["latency_p50"].value == pytest.approx(1e-3)
    assert found["latency_p90"].value == pytest.approx(2e-3)


@pytest.mark.parametrize(
    ("printed", "floor"), [("2", 0.5), ("2.00", 0.005), ("2.000000", 5e-7)], ids=["whole", "hundredths", "fine"]
)
def test_two_times_within_a_step_are_not_told_apart(tmp_path: Path, printed: str, floor: float) -> None:
    """2.49 ms cut off to 2 are 24 % more than 2 ms: of whole milliseconds the ratio 1 says nothing about 5 %."""

    def tell(runs: int) -> Told:
        return lines.times(f"{printed}\n" * runs, "ms", 0)

    taken = measured(tmp_path, Paper(a=tell, b=tell))
    assert latency.noise_floor(taken) == pytest.approx(floor)
    assert settled(taken, (1.05,)) == (floor < 0.05)
    (ratio,) = (m for m in latency.measure(taken, "b", "board", 1) if m.measurand.name == "latency_p50_ratio")
    assert ratio.value == pytest.approx(1.0)
    assert ratio.noise_floor == pytest.approx(floor)
    assert f"its times in steps of {floor * 2:g} ms" in ratio.method


class Untelling(Paper):
    """Of its state it tells the load alone, and it has no battery."""

    def conditions(self) -> dict[str, Any]:  # type: ignore[override]
        return {"load": 0.5, "temperature_millicelsius": None}

    def meter(self, _: object) -> Any:
        raise NoMeter("no battery there")


def test_what_programs_cannot_tell_is_listed_where_it_is_asked_for() -> None:
    told = turns.carry_out(Untelling(), LackingJob(), print, Setting()).facts["lacking"]  # type: ignore[arg-type]
    assert told["energy"][0] == "no battery there"
    assert {"temperature", "frequency", "throughput", "operators"} <= told.keys()
    assert "load" not in told
    assert all(do.endswith(".") for _, do in told.values())
    assert "lacking" not in turns.carry_out(Untelling(), FactsJob(), print, Setting()).facts  # type: ignore[arg-type]
