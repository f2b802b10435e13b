"""A throw-away repository whose pull requests can be run: a developer's clone, a bare origin, a DVC remote, runners."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

NAME = "somebody/net"
PYTHON = Path(sys.executable)
# No rule about growth: what `makeweight ci` measures is then what `dvc repro` measures, and no more.
CONFIG = """\
name: net
model: {onnx: net.onnx, inputs: {x: [N, 64]}, runtime: onnxruntime}
sources: [code.py]
data: {npz: {test: test.npz, calibration: calibration.npz}}
task: classification
seed: 0
variants:
  half: {steps: [float16]}
  int8: {steps: [{quantize: {method: dynamic}}]}
  int8-tensor: {steps: [{quantize: {method: dynamic, per_channel: false}}]}
prefer: size
devices:
  local: {kind: local, threads: 1, processes: 2, seconds: 1}
budget:
  size: {max_ratio: 0.6}
  accuracy: {max_drop: 10 pt}
  latency_p50: {max_ratio: 20x}
"""
# The last, because an installation has its bytecode.
_DROPPED = ("DVC_", "GIT_", "MAKEWEIGHT_", "GITHUB_", "RUNNER_", "ACTIONS_", "PYTHONDONTWRITEBYTECODE")


@dataclass(frozen=True)
class Checkout:
    """A runner after `actions/checkout`: one commit, nothing of DVC's, and what the runner says of the event."""

    folder: Path
    environment: dict[str, str]

    def run(self, *command: str, token: str | None = None) -> str:
        """What it said on both streams. With `token`, GitHub's API is open to it, as to some steps of the Action."""
        given = {} if token is None else {"MAKEWEIGHT_TOKEN": token}
        done = _run(command, self.folder, {**self.environment, **given})
        return done.stdout + done.stderr


@dataclass(frozen=True)
class Repository:
    """All of it side by side in one folder, so that the DVC remote is `../store`."""

    folder: Path
    environment: dict[str, str]
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def git(self, *arguments: str) -> str:
        return _run(("git", *arguments), self.work, self.environment).stdout.strip()

    def change(self, branch: str, edit: Callable[[Path], object]) -> None:
        """A pull request of one commit onto main, and the merge that GitHub tries of it."""
        self.git("checkout", "-q", "-b", branch, "main")
        edit(self.work)
        self.git("add", "--all")
        self.git("commit", "-q", "-m", branch)
        self.git("checkout", "-q", "--detach", "main")
        self.git("merge", "-q", "--no-ff", "-m", "try", branch)
        self.git("push", "-q", "origin", branch, f"HEAD:refs/pull/{branch}/merge")

    def pull(self, branch: str) -> dict[str, object]:
        """The pull request of a branch, as GitHub tells it."""
        head, base = self.git("rev-parse", branch), self.git("rev-parse", "main")
        return {
            "number": 7,
            "state": "open",
            "head": {"sha": head, "ref": branch, "repo": {"full_name": NAME}},
            "base": {"sha": base, "ref": "main", "repo": {"full_name": NAME}},
        }

    def checkout(self, branch: str, api: str) -> Checkout:
        """A fresh clone of that merge, one commit deep, on a runner whose GitHub answers at `api`."""
        number = next(self._numbers)
        place, beside = self.folder / f"runner-{number}", self.folder / f"runner-{number}-files"
        place.mkdir()
        beside.mkdir()
        ref = f"refs/pull/{branch}/merge"
        for arguments in (
            ("init", "-q"),
            ("remote", "add", "origin", f"file://{self.folder / 'origin.git'}"),
            ("fetch", "-q", "--depth=1", "--no-tags", "origin", ref),
            ("checkout", "-q", "--detach", "FETCH_HEAD"),
        ):
            _run(("git", *arguments), place, self.environment)
        told = {
            "repository": {"full_name": NAME, "default_branch": "main"},
            "number": 7,
            "pull_request": self.pull(branch),
        }
        event = beside / "event.json"
        event.write_text(json.dumps(told))
        environment = {
            **self.environment,
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_REPOSITORY": NAME,
            "GITHUB_REF": ref,
            "GITHUB_RUN_ID": str(number),
            "GITHUB_API_URL": api,
            "GITHUB_OUTPUT": str(beside / "output"),
            "GITHUB_STEP_SUMMARY": str(beside / "summary.md"),
        }
        return Checkout(place, environment)


def make(folder: Path) -> Repository:
    """The repository with one commit on main, in which every stage has run and all is stored."""
    home = folder / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED) and name != "CI"}
    environment = {
        **kept,
        "HOME": str(home),
        "PATH": f"{PYTHON.parent}{os.pathsep}{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{role}_NAME": "A User" for role in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{role}_EMAIL": "user@example.org" for role in ("AUTHOR", "COMMITTER")},
    }
    made = Repository(folder, environment)
    made.work.mkdir()
    _model(made.work)
    (made.work / "makeweight.yaml").write_text(CONFIG)
    (made.work / "code.py").write_text("# what the model is made of\n")
    made.git("init", "-q", "-b", "main")
    for command in (
        ("makeweight", "init"),
        ("dvc", "remote", "add", "-q", "-d", "store", "../store"),
        ("dvc", "repro", "-q"),
        ("dvc", "push", "-q"),
    ):
        _run(command, made.work, environment)
    made.git("add", "--all")
    made.git("commit", "-q", "-m", "a model that makes weight")
    origin = str(folder / "origin.git")
    made.git("clone", "-q", "--bare", str(made.work), origin)
    # as GitHub does: any commit may be asked for
    made.git("--git-dir", origin, "config", "uploadpack.allowAnySHA1InWant", "true")
    made.git("remote", "add", "origin", origin)
    return made


def _model(folder: Path) -> None:
    """A perceptron of 64, 256, 256 and 10, and examples that it answers rightly because it made their answers up."""
    rng = np.random.default_rng(0)
    values = inputs = rng.normal(size=(400, 64)).astype(np.float32)
    nodes, weights, last = [], [], "x"
    for index, (wide, high) in enumerate(itertools.pairwise((64, 256, 256, 10))):
        matrix = (rng.normal(size=(wide, high)) / np.sqrt(wide)).astype(np.float32)
        weights.append(numpy_helper.from_array(matrix, f"w{index}"))
        nodes.append(helper.make_node("MatMul", [last, f"w{index}"], [f"p{index}"]))
        nodes.append(helper.make_node("Relu", [f"p{index}"], [f"r{index}"]))
        values, last = np.maximum(values @ matrix, 0), f"r{index}"
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 64])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, ["N", 10])],
        weights,
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), str(folder / "net.onnx")
    )
    np.savez(folder / "test.npz", x=inputs, target=values.argmax(axis=1))
    np.savez(folder / "calibration.npz", x=inputs[:64])


def _run(command: tuple[str, ...], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done
