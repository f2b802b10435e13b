"""An arm64 system that qemu imitates, over SSH: its answers count, and its times do not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import tiny_models

import arm64_board
import arm64_system
import sshd
from makeweight.bench import probe, sitting
from makeweight.bench.aim import Aim
from makeweight.bench.grid import Grid
from makeweight.bench.sitting import Pair
from makeweight.devices.device import DeviceFailed
from makeweight.devices.record import described
from makeweight.devices.ssh import Ssh, SshOptions
from makeweight.measure.samples import store
from makeweight.measure.timings import EMULATED, Timings
from makeweight.runtimes.format import Format, Numbers
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight_base.errors import Exit
from makeweight_base.progress import Silent
from makeweight_probe import answers
from makeweight_probe.job import AnswersJob, MemoryJob, Model

EXAMPLES = 8


@dataclass(frozen=True)
class Board:
    device: Ssh
    options: SshOptions


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    with arm64_board.running(tmp_path_factory.mktemp("arm64")) as server:
        options = SshOptions(host=sshd.HOST, config=str(server.config), processes=1, seconds=0.3)
        yield Board(Ssh("board", options), options)


class Examples:
    """What calibrates: the samples themselves."""

    def __init__(self, x: np.ndarray) -> None:
        self._x = x

    def feeds(self, size: int) -> Iterator[dict[str, np.ndarray]]:
        yield {"x": self._x}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A perceptron and its int8. Weights of seven bits, since an x86 without VNNI would answer otherwise."""
    folder = tmp_path_factory.mktemp("models")
    x = np.random.default_rng(0).standard_normal((EXAMPLES, tiny_models.FEATURES)).astype(np.float32)
    runtime = OnnxRuntime()
    given = runtime.read(tiny_models.dense(folder / "float.onnx", width=64))
    narrow = Format(Numbers("int7", "channel"), Numbers("int8"), "static", "minmax")
    made = runtime.lower(given, narrow, Examples(x), folder / "int8.onnx")
    store(folder / "inputs.npz", [{"x": row[None]} for row in x])
    a, b = (Model("onnxruntime", str(path), 1) for path in (folder / "float.onnx", made.path))
    return Pair(a, b, str(folder / "inputs.npz"), free_batch=True)


@pytest.fixture(scope="module")
def taken(board: Board, pair: Pair) -> Timings:
    aim = Aim((1.05,), memory=False, matrix=Grid((1, 8), {}, (1, 2), 1))
    return sitting.carry_out(board.device, board.options, pair, aim, 1, Silent())


def test_it_says_what_it_is_and_that_it_is_emulated(taken: Timings) -> None:
    identity = taken.identity
    assert (identity["machine"], identity["system"], identity["emulated"]) == ("aarch64", "Linux", True)
    assert identity["runtimes"] == {"onnxruntime": arm64_system.ONNXRUNTIME}
    assert not any(name.startswith(("avx", "amx", "fma")) for name in identity["isa"]), "those are of what imitates it"
    assert described(identity).endswith("aarch64, emulated: no times of it")


def test_no_time_counts_there(taken: Timings) -> None:
    figures = list(sitting.measurements(taken, "int8", "board", 1))
    times = [figure for figure in figures if figure.metric.startswith(("latency", "cpu_time", "throughput"))]
    assert {figure.metric for figure in times} >= {"latency_p50", "latency_p99", "cpu_time_p50", "throughput"}
    cells = {(each.batch, each.threads) for each in times if each.measurand.is_cell}
    assert cells == {(1, 1), (8, 1), (1, 2), (8, 2)}
    assert {(figure.value, figure.reason) for figure in times} == {(None, EMULATED)}


def test_float_and_int8_answer_there_as_here(board: Board, pair: Pair) -> None:
    job = AnswersJob(pair.b, pair.a, pair.inputs, None, 0)
    there, here = probe.run(board.device, job, print), answers.ask(job)
    for name, values in here.samples.items():
        np.testing.assert_allclose(there.samples[name], values, rtol=1e-4, atol=1e-5, err_msg=name)
    assert there.facts["decibels"] == pytest.approx(here.facts["decibels"], abs=0.1)
    assert here.facts["decibels"][0] < 60, "int8 answers otherwise than float"


def test_a_runtime_that_it_lacks_is_told_with_what_brings_it(board: Board, pair: Pair) -> None:
    job = MemoryJob(Model("litert", pair.a.path, 1), pair.inputs)
    brings = r"pip install 'makeweight\[litert\]'` there\n.*`makeweight devices --bootstrap board`"
    with pytest.raises(DeviceFailed, match=rf"`board`: the runtime `litert` is not installed here.*{brings}") as told:
        probe.run(board.device, job, print)
    assert told.value.exit_code == Exit.ENVIRONMENT
