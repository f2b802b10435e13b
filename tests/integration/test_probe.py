"""The probe as a device runs it: a fresh process that has numpy and ONNX Runtime, and nothing else."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_models

from makeweight.measure.samples import store
from makeweight_probe.job import (
    MemoryJob,
    Model,
    PairsJob,
    Result,
    dump_job,
    load_result,
)
from makeweight_probe.pairs import ARMS, MIN_ROUNDS

# What of makeweight travels to a device.
SHIPPED = "makeweight_probe"
# Refuses to import anything else, as if it were not installed.
BARE_MACHINE = f"""
import runpy, sys

class Bare:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in ({SHIPPED!r}, "numpy", "onnxruntime") or top in sys.stdlib_module_names:
            return None
        raise ModuleNotFoundError(f"a bare machine has no {{name}}", name=name)

sys.meta_path.insert(0, Bare())
sys.path = [entry for entry in sys.path if entry]
runpy.run_module("makeweight_probe", run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_models.dense(tmp_path / "small.onnx")
    tiny_models.dense(tmp_path / "large.onnx", depth=6, width=512)
    rng = np.random.default_rng(0)
    store(
        tmp_path / "inputs.npz",
        [{"x": rng.standard_normal((1, tiny_models.FEATURES)).astype(np.float32)} for _ in range(12)],
    )
    return tmp_path


def model(folder: Path, name: str) -> Model:
    return Model("onnxruntime", str(folder / f"{name}.onnx"))


def pairs(folder: Path, a: str, b: str, **changes: object) -> PairsJob:
    given: dict[str, object] = {
        "seconds": 2.0,
        "limits": (1.5,),
        "target_rounds": 50,
        "target_seconds": 1.0,
        "batch": 4,
        "threads": 1,
        "seed": 1,
        **changes,
    }
    return PairsJob(model(folder, a), model(folder, b), str(folder / "inputs.npz"), **given)  # type: ignore[arg-type]


def run(folder: Path, job: PairsJob | MemoryJob) -> Result:
    (folder / "job.json").write_text(dump_job(job))
    done = subprocess.run(
        [sys.executable, "-c", BARE_MACHINE, str(folder / "job.json"), str(folder / "result.npz")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return load_result(folder / "result.npz")


def test_pairs_on_a_bare_machine(folder: Path) -> None:
    result = run(folder, pairs(folder, "small", "large"))
    rounds = result.facts["rounds"]
    assert rounds >= MIN_ROUNDS
    for clock in ("wall", "cpu"):
        for arm in ARMS:
            values = result.samples[f"{clock}_{arm}"]
            assert values.shape == (rounds,)
            assert (values >= 0).all()
    ratio = np.median(result.samples["wall_b"] / result.samples["wall_a"])
    assert ratio > 2, "a net with a hundred times the weights is slower"
    assert len(result.samples["batch_a"]) == len(result.samples["batch_b"]) > 0
    assert result.facts["batch"] == 4


def test_without_batches_and_with_threads(folder: Path) -> None:
    result = run(folder, pairs(folder, "small", "small", batch=None, threads=2, limits=()))
    assert set(result.samples) == {"wall_a", "wall_b", "wall_control"}


def test_memory_by_phase_on_a_bare_machine(folder: Path) -> None:
    small, large = (
        run(folder, MemoryJob(model(folder, name), str(folder / "inputs.npz"), 1)).facts for name in ("small", "large")
    )
    if "unavailable" in small:
        assert sys.platform != "linux", small
        return
    weights = (folder / "large.onnx").stat().st_size
    assert large["load"] > weights / 2, "its weights have to be somewhere"
    assert large["load"] > small["load"]
    assert small["import_peak"] > 10e6
    assert min(small["load"], small["run"], small["baseline"]) >= 0


def test_inputs_that_are_no_batches(tmp_path: Path) -> None:
    tiny_models.speech(tmp_path / "speech.onnx")
    fed = {"sound": np.ones((1, 16), np.float32), "state": np.ones((2, 1, 4), np.float32), "rate": np.array(16000)}
    store(tmp_path / "inputs.npz", [fed] * 3)
    assert run(tmp_path, pairs(tmp_path, "speech", "speech", batch=None)).facts["rounds"] >= MIN_ROUNDS


def test_a_job_of_another_protocol_ends_with_its_reason(folder: Path) -> None:
    text = dump_job(pairs(folder, "small", "small")).replace('"protocol": 1', '"protocol": 99')
    (folder / "job.json").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "makeweight_probe", str(folder / "job.json"), str(folder / "result.npz")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "the job 99; push the probe again" in done.stderr
    assert not (folder / "result.npz").exists()
