"""The probe as a device runs it: a fresh process that has numpy and ONNX Runtime, and nothing else."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import tiny_models

from makeweight.measure.samples import store
from makeweight_probe import __main__ as probe
from makeweight_probe import energy, facts, inputs, meters
from makeweight_probe.__main__ import NO_RUNTIME, REFUSED
from makeweight_probe.blocks import ARMS
from makeweight_probe.job import (
    PROTOCOL,
    BlocksJob,
    Cold,
    EnergyJob,
    FactsJob,
    Job,
    MatrixJob,
    MemoryJob,
    Model,
    ProfileJob,
    Result,
    dump_job,
    load_result,
)

# What of makeweight travels to a device.
SHIPPED = "makeweight_probe"
# Refuses to import anything else, as if it were not installed.
BARE_MACHINE = f"""
import importlib.metadata, runpy, sys

class Bare:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in ({SHIPPED!r}, "numpy", "onnxruntime") or top in sys.stdlib_module_names:
            return None
        raise ModuleNotFoundError(f"a bare machine has no {{name}}", name=name)

def version(name, installed=importlib.metadata.version):
    if name not in ("numpy", "onnxruntime"):
        raise importlib.metadata.PackageNotFoundError(name)
    return installed(name)

importlib.metadata.version = version
sys.meta_path.insert(0, Bare())
sys.path = [entry for entry in sys.path if entry]
runpy.run_module("makeweight_probe", run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_models.dense(folder / "small.onnx")
    tiny_models.dense(folder / "large.onnx", depth=6, width=512)
    rng = np.random.default_rng(0)
    store(
        folder / "inputs.npz",
        [{"x": rng.standard_normal((1, tiny_models.FEATURES)).astype(np.float32)} for _ in range(12)],
    )
    return folder


def model(folder: Path, name: str, threads: int = 1) -> Model:
    return Model("onnxruntime", str(folder / f"{name}.onnx"), threads)


def blocks(folder: Path, a: str, b: str, threads: int = 1, **changes: object) -> BlocksJob:
    given: dict[str, object] = {
        "seconds": 2.0,
        "limits": (1.5,),
        "target_runs": 50,
        "target_seconds": 1.0,
        "batch": 4,
        "apart": False,
        "warming": None,
        "cold": None,
        "seed": 1,
        **changes,
    }
    first, second = model(folder, a, threads), model(folder, b, threads)
    return BlocksJob(first, second, str(folder / "inputs.npz"), **given)  # type: ignore[arg-type]


def run(folder: Path, job: Job) -> Result:
    (folder / "job.json").write_text(dump_job(job))
    (folder / "result.npz").unlink(missing_ok=True)  # of the job before
    done = subprocess.run(
        [sys.executable, "-c", BARE_MACHINE, str(folder / "job.json"), str(folder / "result.npz")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return load_result(folder / "result.npz")


@pytest.fixture(scope="module")
def timed(folder: Path) -> Result:
    """A small model beside a large one, which is asked for its answers, in one process."""
    return run(folder, blocks(folder, "small", "large", outputs=True))


@pytest.fixture(scope="module")
def told(folder: Path) -> dict[str, Any]:
    return run(folder, FactsJob()).facts


@pytest.mark.parametrize("apart", [False, True], ids=["in one process", "a process an arm"])
def test_blocks_on_a_bare_machine(folder: Path, timed: Result, apart: bool) -> None:
    """Both ways give the same answers."""
    result = run(folder, blocks(folder, "small", "large", apart=True, outputs=True)) if apart else timed
    rounds = result.facts["rounds"]
    assert rounds > 0
    for clock in ("wall", "cpu"):
        for arm in ARMS:
            values = result.samples[f"{clock}_{arm}"]
            assert values.shape == (rounds, result.facts["kept"])
            assert (values >= 0).all()
    ratio = np.median(result.samples["wall_b"] / result.samples["wall_a"])
    assert ratio > 2, "a net with a hundred times the weights is slower"
    assert len(result.samples["batch_a"]) == len(result.samples["batch_b"]) > 0
    assert result.facts["batch"] == 4
    assert result.facts["apart"] is apart
    assert result.facts["before"].keys() == result.facts["after"].keys() >= {"load", "governor"}
    assert result.outputs.keys() == timed.outputs.keys()
    for name, values in timed.outputs.items():
        np.testing.assert_array_equal(result.outputs[name], values)


def test_identical_models_are_told_alike_in_both_ways(folder: Path) -> None:
    """The medians of the control and of the variant are the same model's; only what a block costs differs."""
    for apart in (False, True):
        result = run(folder, blocks(folder, "large", "large", apart=apart, batch=None, limits=(), target_runs=250))
        usual = {arm: np.median(result.samples[f"wall_{arm}"]) for arm in ARMS}
        assert usual["b"] / usual["a"] == pytest.approx(1, rel=0.5), (apart, usual)
        assert usual["control"] / usual["a"] == pytest.approx(1, rel=0.5), (apart, usual)


def test_empty_caches_on_a_bare_machine(folder: Path) -> None:
    result = run(folder, blocks(folder, "small", "large", batch=None, cold=Cold((), 3, 30.0)))
    if "no_cold" in result.facts:
        assert "caches" in result.facts["no_cold"]
        return
    assert len({len(result.samples[f"cold_{arm}"]) for arm in ARMS}) == 1
    warm = np.median(result.samples["wall_a"])
    assert np.median(result.samples["cold_a"]) > warm, "it finds nothing in the caches"


def test_facts_on_a_bare_machine(told: dict[str, Any]) -> None:
    assert set(told) == {"identity", "conditions"}
    assert set(told["identity"]["runtimes"]) == {"onnxruntime"}


def test_facts_are_told_without_numpy(folder: Path, told: dict[str, Any]) -> None:
    """Each run of a pipeline asks for them."""
    (folder / "facts.json").write_text(dump_job(FactsJob()))
    code = "import sys; from makeweight_probe.__main__ import main; print(main(sys.argv[1:]), 'numpy' in sys.modules)"
    words = [sys.executable, "-c", code, str(folder / "facts.json"), str(folder / "facts")]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "0 False\n"
    assert load_result(folder / "facts").facts["identity"]["cpu"] == told["identity"]["cpu"]


def test_what_was_timed_says_on_which_machine(timed: Result, told: dict[str, Any]) -> None:
    assert timed.facts["identity"] == told["identity"]


def test_without_batches_and_with_threads(folder: Path) -> None:
    result = run(folder, blocks(folder, "small", "small", batch=None, threads=2, limits=()))
    assert set(result.samples) == {"wall_a", "wall_b", "wall_control"}


def test_memory_by_phase_on_a_bare_machine(folder: Path) -> None:
    small, large = (
        run(folder, MemoryJob(model(folder, name), str(folder / "inputs.npz"))).facts for name in ("small", "large")
    )
    if "unavailable" in small:
        assert sys.platform != "linux", small
        return
    weights = (folder / "large.onnx").stat().st_size
    assert large["load"] > weights / 2, "its weights have to be somewhere"
    assert large["load"] > small["load"]
    assert small["import_peak"] > 10e6
    assert min(small["load"], small["run"], small["baseline"]) >= 0


def test_memory_of_a_process_that_an_emulator_lives_in_is_not_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under qemu's user mode 14 MB of code that it had translated counted as a model's of 20 kB."""
    monkeypatch.setattr(facts, "emulated_here", lambda: True)
    told = probe.run(MemoryJob(model(folder, "small"), str(folder / "inputs.npz"))).facts
    assert set(told) == {"unavailable"}
    assert "what its emulator takes would count as the model's" in told["unavailable"]


def test_answers_on_a_bare_machine_are_those_of_here(folder: Path, timed: Result) -> None:
    session = onnxruntime.InferenceSession(str(folder / "large.onnx"), providers=["CPUExecutionProvider"])
    samples = inputs.read(str(folder / "inputs.npz"))
    assert len(timed.outputs) == len(samples) > 1
    for index, feeds in enumerate(samples):
        np.testing.assert_array_equal(timed.outputs[f"{index}:0"], session.run(None, feeds)[0])


def test_inputs_that_are_no_batches(tmp_path: Path) -> None:
    tiny_models.speech(tmp_path / "speech.onnx")
    fed = {"sound": np.ones((1, 16), np.float32), "state": np.ones((2, 1, 4), np.float32), "rate": np.array(16000)}
    store(tmp_path / "inputs.npz", [fed] * 3)
    assert run(tmp_path, blocks(tmp_path, "speech", "speech", batch=None)).facts["rounds"] > 0


def refusal(folder: Path, job: str, code: int = REFUSED) -> str:
    """What the probe says of a job that it does not carry out."""
    (folder / "job.json").write_text(job)
    done = subprocess.run(
        [sys.executable, "-m", "makeweight_probe", str(folder / "job.json"), str(folder / "refused.npz")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert not (folder / "refused.npz").exists()
    return done.stderr


def test_a_job_of_another_protocol_ends_with_its_reason(folder: Path) -> None:
    text = dump_job(blocks(folder, "small", "small")).replace(f'"protocol": {PROTOCOL}', '"protocol": 99')
    assert refusal(folder, text).endswith("the job 99; push the probe again\n")


def test_a_runtime_that_is_not_there_is_named(folder: Path) -> None:
    """By the arm's own process as by the job's."""
    for apart, code in ((False, NO_RUNTIME), (True, REFUSED)):
        job = blocks(folder, "small", "small", apart=apart)
        text = dump_job(job).replace('"runtime": "onnxruntime"', '"runtime": "onyx"')
        assert "the probe knows no runtime `onyx` here" in refusal(folder, text, code)


@pytest.mark.parametrize("apart", [False, True], ids=["in-one-process", "a-process-an-arm"])
def test_energy_by_a_meter_that_follows_the_clock(folder: Path, monkeypatch: pytest.MonkeyPatch, apart: bool) -> None:
    """20 W while a thread of this machine computes, and 5 W beside: a model of so many seconds takes 20 W of them."""
    monkeypatch.setattr(energy, "SECONDS", 0.02)
    monkeypatch.setattr(meters, "find", lambda name: {"ours": Working()}[name])
    job = EnergyJob(model(folder, "small"), model(folder, "large"), str(folder / "inputs.npz"), apart, "ours", 1)
    found = probe.run(job)
    assert found.facts["source"] == "a clock"
    small, large = (float(np.median(found.samples[f"joules_{arm}"])) for arm in ("a", "b"))
    assert 0 < small < large
    assert np.median(found.samples["idle"]) == pytest.approx(5.0, rel=0.2)


class Working:
    """A meter of this process and its children, as the kernel counts their processor time."""

    source = "a clock"

    def joules(self) -> float:
        own = resource.getrusage(resource.RUSAGE_SELF)
        spent = own.ru_utime + own.ru_stime + sum(map(_spent_by, _children()))
        return 20 * spent + 5 * time.monotonic()

    def close(self) -> None:
        pass


def _children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def _spent_by(pid: str) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) * 1e-9


def test_a_profile_names_the_operators_of_the_graph(folder: Path) -> None:
    """Each node of the file once, none of which does integers; a model that does not open costs the other nothing."""
    (folder / "broken.onnx").write_bytes(b"no model")
    given = str(folder / "inputs.npz")
    result = run(folder, ProfileJob(((model(folder, "large"), given), (model(folder, "broken"), given))))
    told, broken = result.facts["profiles"]
    kinds = [each["kind"] for each in told["operators"]]
    assert (kinds.count("MatMul"), kinds.count("Relu"), len(kinds)) == (7, 6, 13)
    assert {each["ran"] for each in told["operators"]} == {"float"}
    times = [each["ns"] for each in told["operators"]]
    assert times == sorted(times, reverse=True)
    assert 0 < sum(times) <= told["inference_ns"]
    assert broken["unavailable"].startswith("the profiler of onnxruntime failed: ")
    assert not list(folder.glob("*trace*"))


def test_batches_of_several_sizes_on_a_bare_machine(folder: Path) -> None:
    """Each arm in a process of its own."""
    small, large = model(folder, "small", 2), model(folder, "large", 2)
    job = MatrixJob(small, large, str(folder / "inputs.npz"), True, (1, 16), 1, rounds=3, seconds=30.0, seed=1)
    result = run(folder, job)
    assert {name: len(values) for name, values in result.samples.items()} == {
        f"batch{size}_{arm}": 3 for size in (1, 16) for arm in ARMS
    }
    for size in (1, 16):
        assert (result.samples[f"batch{size}_b"] > result.samples[f"batch{size}_a"]).all(), (
            "a hundred times the weights"
        )
    assert (result.facts["lacking"], result.facts["apart"]) == ({}, True)
    assert result.facts["identity"]["cpu"]
