"""The monitoring demo in a short form, on a small network: a canary that breaks is called, one that does not is not."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import prometheus

REPOSITORY = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow
CONFIG = """
name: digits
model: {onnx: network.onnx}
sources: [examples/digits]
data:
  load: examples.digits.data:load
  slices: examples.digits.data:slices
  calibration: {split: train, samples: 256}
task: {kind: classification, classes: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]}
variants:
  int8: {steps: [{quantize: {method: static}}]}
  fp16: {steps: [float16]}
devices:
  local: {kind: local}
budget:
  accuracy: {max_drop: 1 pt}
"""


def train(path: Path) -> None:
    """A perceptron of one hidden layer, of scikit-learn: seconds, not minutes."""
    from onnx import TensorProto, checker, helper, numpy_helper, save
    from sklearn.neural_network import MLPClassifier

    from examples.digits import data

    images, digits = data.load("train")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it would like to train for longer
        fitted = MLPClassifier((32,), max_iter=60, random_state=0).fit(images.reshape(len(images), -1), digits)
    layers = zip("ab", fitted.coefs_, fitted.intercepts_, strict=True)
    weights = {f"{kind}{name}": values for name, w, b in layers for kind, values in (("w", w), ("b", b))}
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["image"], ["flat"]),
            helper.make_node("Gemm", ["flat", "wa", "ba"], ["hidden"]),
            helper.make_node("Relu", ["hidden"], ["rectified"]),
            helper.make_node("Gemm", ["rectified", "wb", "bb"], ["scores"]),
        ],
        "network",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(np.asarray(values, np.float32), name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    save(model, path)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, shell) -> Path:
    prometheus.install()
    folder = tmp_path_factory.mktemp("watched")
    (folder / "makeweight.yaml").write_text(CONFIG)
    shutil.copytree(REPOSITORY / "examples/digits", folder / "examples/digits")
    train(folder / "network.onnx")
    for verb in ("baseline", "compress int8", "evaluate int8", "compress fp16", "evaluate fp16"):
        done = shell(f"makeweight {verb}", folder)
        assert done.returncode == 0, done.stdout
    return folder


def command(project: Path, *options: str) -> list[str]:
    short = ["--healthy", "8", "--rate", "150", "--delay", "8"]
    return [sys.executable, "-m", "examples.monitoring.shade", str(project), *short, *options]


def children(leader: int) -> list[str]:
    """The pids of the processes that it started."""
    return Path(f"/proc/{leader}/task/{leader}/children").read_text().split()


def test_a_canary_that_breaks_is_called(project: Path) -> None:
    done = subprocess.run(command(project), cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"AccuracyDropPaired \(kind: rollback\) fires \d+ s after the shadow fell", done.stdout)
    assert re.search(r"FailuresAboveStable \(kind: rollback\) fires \d+ s after .* on 0 labelled pairs", done.stdout)
    assert re.search(r"^  all is well .* nothing$", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"^  in the shadow .*MakeweightAccuracyDropPaired", done.stdout, re.MULTILINE), done.stdout
    assert "requests or labels failed" not in done.stdout


def test_a_canary_that_takes_the_shadow_as_stable_does_is_left_alone(project: Path) -> None:
    """Half precision has no range to leave: both models get worse, and that is no reason to roll one of them back."""
    done = subprocess.run(
        command(project, "--variant", "fp16", "--healthy", "4", "--delay", "3", "--patience", "10", "--rate", "75"),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "MakeweightAccuracyDropPaired did not fire within 10 s" in done.stdout
    assert re.search(r"^  in the shadow .* nothing$", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_stopping_it_stops_every_part(project: Path, tmp_path: Path, asked: signal.Signals) -> None:
    said = tmp_path / "said"
    with said.open("wb") as written:
        # of a session of its own: its parts are not to get the signal by accident
        demo = subprocess.Popen(
            command(project), cwd=REPOSITORY, stdout=written, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        prometheus.until(lambda: "all is well" in said.read_text() or demo.poll() is not None)
        parts = [Path("/proc", pid) for pid in children(demo.pid)]
        assert len(parts) == 2, said.read_text()
        os.kill(demo.pid, asked)
        assert demo.wait(60) == 130
        assert not [part for part in parts if part.exists()]
        assert "interrupted" in said.read_text()
    finally:
        if demo.poll() is None:
            demo.kill()
            demo.wait()


def test_a_project_without_models_is_told_so(tmp_path: Path) -> None:
    done = subprocess.run(command(tmp_path), cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "no model here" in done.stderr
    assert "Traceback" not in done.stderr
