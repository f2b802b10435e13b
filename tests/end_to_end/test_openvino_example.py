"""OpenVINO by its own package, installed as a user installs it: measured beside ONNX Runtime, each in its process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "examples" / "openvino"

MODEL = """
import torch

def build():
    torch.manual_seed(0)
    convolution = torch.nn.Conv2d(3, 16, 3, padding=1)
    return torch.nn.Sequential(convolution, torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(16 * 64, 4))
"""
DATA = """
import numpy as np

def load(split):
    rng = np.random.default_rng({"train": 0, "validation": 1, "test": 2}[split])
    return rng.standard_normal((120, 3, 8, 8)).astype(np.float32), rng.integers(0, 4, 120)
"""
CONFIG = """
name: openvino
model: {build: "model:build", weights: weights.pt, inputs: {image: [N, 3, 8, 8]}}
sources: [model.py, data.py]
data: {load: "data:load"}
task: classification
seed: 0
variants:
  plain: {runtime: openvino, steps: []}
  half: {runtime: openvino, steps: [float16]}
  int8: {runtime: openvino, steps: [{quantize: {method: static}}]}
devices: {here: {kind: local, processes: 1, seconds: 1}}
budget: {size: {max_ratio: 2}, latency_p50: {max_ratio: 99x}}
"""
SCRIPT = """
import sys
import torch
from model import build
from makeweight.cli import main

torch.save(build().state_dict(), "weights.pt")
for line in sys.argv[1:]:
    # whose time is longer may stay open on a busy machine
    assert main(line.split()) in ((0, 3) if line.startswith("compare") else (0,)), line
"""
COMPARED = "compare artifacts/baseline/model.onnx artifacts/plain/model.xml --device here --max-ratio 99"


class User:
    """Somebody with both packages, and what came of their verbs."""

    def __init__(self, root: Path, said: str) -> None:
        self.root, self.said = root, said

    def json(self, path: str) -> Any:
        return json.loads((self.root / path).read_text())


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory, user_environment: dict[str, str]) -> User:
    root, site = (tmp_path_factory.mktemp(name) for name in ("openvino", "site"))
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    install = ["install", "--no-compile", "--no-build-isolation", "--no-deps", "--target", site]
    subprocess.run([*pip, *install, PACKAGE], check=True)
    for name, text in (("model.py", MODEL), ("data.py", DATA), ("makeweight.yaml", CONFIG)):
        (root / name).write_text(text)
    made = [f"{verb} {name}" for name in ("plain", "half", "int8") for verb in ("compress", "evaluate")]
    lines = ["baseline", *made, "device here", "benchmark int8 --device here", "report", COMPARED]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *lines],
        cwd=root,
        env={**user_environment, "PYTHONPATH": f"{site}:{root}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return User(root, done.stdout)


@pytest.mark.parametrize(("variant", "least", "most"), [("plain", 100, 201), ("half", 50, 100), ("int8", 20, 60)])
def test_each_format_is_as_near_to_the_baseline_as_its_numbers_allow(
    user: User, variant: str, least: float, most: float
) -> None:
    manifest = user.json(f"artifacts/{variant}/manifest.json")
    assert (manifest["status"], manifest["trial"]["against"]) == ("ready", "baseline")
    assert least < manifest["trial"]["decibels"]["output"] < most
    computed = {"plain": (0, 2), "half": (0, 2), "int8": (2, 0)}[variant]
    assert (manifest["quantized"], manifest["floating"]) == computed


def test_numbers_take_the_bytes_that_they_should(user: User) -> None:
    """A byte a weight of int8, two of float16, four of float32, in the file of the weights."""
    sizes = {name: (user.root / "artifacts" / name / "model.bin").stat().st_size for name in ("plain", "half", "int8")}
    weights = 16 * 27 + 16 * 64 * 4
    assert sizes["plain"] == pytest.approx(4 * weights, rel=0.05)
    assert sizes["half"] == pytest.approx(2 * weights, rel=0.05)
    assert sizes["int8"] == pytest.approx(weights, rel=0.1)


def test_what_they_are_held_against_is_right(user: User) -> None:
    """The baseline, computed by plain numpy from the weights of PyTorch."""
    import torch

    from makeweight_probe.sessions import onnxruntime

    state = {name: value.numpy() for name, value in torch.load(user.root / "weights.pt").items()}
    values = np.random.default_rng(5).standard_normal((1, 3, 8, 8)).astype(np.float32)
    padded = np.pad(values[0], ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    hidden = np.maximum(np.einsum("chwij,ocij->ohw", windows, state["0.weight"]) + state["0.bias"][:, None, None], 0)
    wanted = state["3.weight"] @ hidden.ravel() + state["3.bias"]
    session = onnxruntime.open_session(str(user.root / "artifacts/baseline/model.onnx"), 1)
    assert np.allclose(session.run({"image": values})[0][0], wanted, atol=1e-4)


def test_both_are_measured_and_compared_apart(user: User) -> None:
    assert user.json("reports/devices/here.json")["identity"]["runtimes"].keys() >= {"openvino", "onnxruntime"}
    assert "a process an arm" in user.said
    assert "its answers beside those of model.onnx, signal to noise: `output` 1" in user.said
    report = (user.root / "reports" / "report.md").read_text()
    assert "| recipe | runtime |" in report
    assert "openvino" in report
