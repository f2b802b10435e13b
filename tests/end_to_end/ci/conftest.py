"""A repository whose pull requests are judged: a bare origin, a DVC remote, a GitHub, and runners that clone afresh."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import preloaded
from integration.action.runner import Result, Runner, Used
from integration.github.server import Server
from made_once import made_once

CONFIG = """\
name: tiny
model:
  onnx: tiny.onnx
  inputs: {x: [N, 64]}
  runtime: onnxruntime
sources: [notes.txt]
data:
  npz: {test: test.npz, calibration: calibration.npz}
task: classification
seed: 0
variants:
  int8:
    steps:
      - quantize: {method: dynamic}
ship: int8
prefer: size
devices:
  board: {kind: command, run: 'sh time.sh {runs} {model}', seconds: 30, processes: 1}
budget:
  size:
    max_ratio: 0.3
  accuracy:
    max_drop: 10 pt
  latency_p50:
    max_ratio: 20x
"""
TIMES = "run=0; while [ $run -lt $1 ]; do echo 1; run=$((run + 1)); done\n"
"""The program that times models on the board: the gate asks for figures, and most of its tests not for what they are.

What a probe measures on this machine is judged in the story, with the device matrix, and where code around a model
runs.
"""
BOARD = CONFIG.partition("devices:\n")[2].partition("budget:\n")[0]
GROWTH = ("    max_ratio: 20x\n", "    max_ratio: 20x\n    max_regression: 2000 %\n")
"""A rule about growth, for the tests of it: the base's artifact is then measured as well, in every run of a change."""
OTHER = """\
  other:
    steps:
      - quantize: {method: dynamic, per_channel: false}
"""
"""A second variant, for the few tests that need one: each is made and measured in every run."""
FORK = "stranger/model"
LOCAL = ("-c", "protocol.file.allow=always")
"""For git, which takes submodules from this machine only where it is told to."""


def save_model(folder: Path) -> None:
    """A perceptron, and examples that it answers rightly by construction."""
    rng = np.random.default_rng(0)
    sizes = (64, 256, 256, 10)
    nodes, weights, last = [], [], "x"
    values = rng.normal(size=(400, 64)).astype(np.float32)
    inputs = values
    for i, (wide, high) in enumerate(itertools.pairwise(sizes)):
        matrix = (rng.normal(size=(wide, high)) / np.sqrt(wide)).astype(np.float32)
        weights.append(onnx.numpy_helper.from_array(matrix, f"w{i}"))
        nodes.append(helper.make_node("MatMul", [last, f"w{i}"], [f"p{i}"]))
        values, last = values @ matrix, f"p{i}"
        if i < 2:
            nodes.append(helper.make_node("Relu", [last], [f"r{i}"]))
            values, last = np.maximum(values, 0), f"r{i}"
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 64])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, ["N", 10])],
        weights,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(made, str(folder / "tiny.onnx"))
    np.savez(folder / "test.npz", x=inputs, target=values.argmax(axis=1))
    np.savez(folder / "calibration.npz", x=inputs[:64])


@dataclass(frozen=True)
class Started:
    """What a run keeps when it is started again: its number, its event, and its commit."""

    number: int
    event: str
    ref: str
    payload: dict[str, Any]
    commit: str


@dataclass
class Run:
    """One run of the Action, as it went."""

    result: Result
    workspace: Path
    uploads: dict[str, Path]
    """Folders that were kept as artifacts of the run, by name."""
    started: Started

    @property
    def outputs(self) -> Mapping[str, str]:
        return self.result.outputs

    @property
    def log(self) -> str:
        return self.result.log

    @property
    def code(self) -> int:
        """Of the step that judges."""
        return self.result.steps["gate"].code or 0

    def verdict(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.workspace / ".makeweight/reports/verdict.json").read_text())
        return found


@dataclass
class Hub:
    """Everything that stands around a repository. Folders lie side by side, so that the DVC remote is `../store`."""

    folder: Path
    environment: dict[str, str]
    github: Server
    runs: Iterator[int] = field(default_factory=itertools.count)
    subfolder: str = ""
    submodules: bool = False
    """Whether actions/checkout is told to fetch them."""

    @property
    def work(self) -> Path:
        """A developer's clone."""
        return self.folder / "work"

    @property
    def origin(self) -> Path:
        return self.folder / "origin.git"

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        return self.run("git", *arguments, cwd=cwd)

    def run(self, *command: str, cwd: Path | None = None, ok: bool = True) -> str:
        done = subprocess.run(
            command, cwd=cwd or self.work, env=self.environment, capture_output=True, text=True, check=False
        )
        assert not ok or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return (done.stdout if ok else done.stdout + done.stderr).strip()

    def change(self, branch: str, edit: Callable[[Path], None], *, onto: str = "main") -> str:
        """A commit on a branch, pushed; its sha."""
        self.git("checkout", "-q", "-B", branch, onto)
        edit(self.work)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", f"change {branch}")
        self.git("push", "-q", "-f", "origin", f"HEAD:refs/heads/{branch}")
        return self.git("rev-parse", "HEAD")

    def config(self, *replacements: tuple[str, str]) -> Callable[[Path], None]:
        """An edit of makeweight.yaml."""

        def edit(root: Path) -> None:
            path = root / self.subfolder / "makeweight.yaml"
            text = path.read_text()
            for old, new in replacements:
                assert old in text, old
                text = text.replace(old, new)
            path.write_text(text)

        return edit

    def line(self, text: str) -> int:
        """The line of makeweight.yaml, as it is in the developer's clone, that holds this."""
        lines = (self.work / self.subfolder / "makeweight.yaml").read_text().splitlines()
        return next(number for number, line in enumerate(lines, 1) if text in line)

    # --- events ---

    def pull_request(
        self,
        branch: str,
        *,
        number: int = 7,
        fork: bool = False,
        base: str = "main",
        event: Mapping[str, Any] | None = None,
        **given: str,
    ) -> Run:
        """What GitHub runs for a pull request: the merge that it tries, cloned one commit deep.

        Args:
            event: what else the payload holds, such as the action.
        """
        head, into = self.git("rev-parse", branch), self.git("rev-parse", base)
        self.git("checkout", "-q", "--detach", base)
        self.git("merge", "-q", "--no-ff", "-m", "try", branch)
        self.git("push", "-q", "-f", "origin", f"HEAD:refs/pull/{number}/merge")
        origin = FORK if fork else self.github.repository
        known = self.github.pulls.get(number)
        if known is None or (known["head"]["sha"], known["base"]["ref"]) != (head, base):
            self.github.pull(number, head, into, head_repository=origin, base_ref=base)
        payload = {
            "action": "synchronize",
            "number": number,
            "pull_request": {
                "number": number,
                "updated_at": self.github.pulls[number]["updated_at"],
                "head": {"sha": head, "ref": branch, "repo": {"full_name": origin}},
                "base": {"sha": into, "ref": base, "repo": {"full_name": self.github.repository}},
            },
            **(event or {}),
        }
        return self.start("pull_request", f"refs/pull/{number}/merge", payload, **given)

    def merge_group(self, branch: str, *, number: int = 7, behind: Run | None = None, **given: str) -> Run:
        """`behind`: the run of the entry that stands before this one in the queue."""
        base = self.git("rev-parse", "main") if behind is None else behind.started.commit
        self.git("checkout", "-q", "--detach", base)
        self.git("merge", "-q", "--no-ff", "-m", f"Merge pull request #{number}", branch)
        ref = f"refs/heads/gh-readonly-queue/main/pr-{number}-{base}"
        self.git("push", "-q", "-f", "origin", f"HEAD:{ref}")
        head = self.git("rev-parse", "HEAD")
        payload = {"merge_group": {"head_sha": head, "head_ref": ref, "base_sha": base, "base_ref": "refs/heads/main"}}
        return self.start("merge_group", ref, payload, **given)

    def land(self, branch: str) -> tuple[str, str]:
        """Merge a branch into main, as a queue or a person does; main before and after."""
        before = self.git("rev-parse", "main")
        self.git("checkout", "-q", "main")
        self.git("merge", "-q", "--no-ff", "-m", f"Merge {branch}", branch)
        self.git("push", "-q", "origin", "main")
        return before, self.git("rev-parse", "main")

    def push(self, before: str, after: str, *, ref: str = "refs/heads/main", **given: str) -> Run:
        """`ref`: what is cloned, where main has moved on."""
        return self.start("push", ref, {"before": before, "after": after}, **given)

    def schedule(self, **given: str) -> Run:
        return self.start("schedule", "refs/heads/main", {"schedule": "0 3 * * 1"}, **given)

    def again(self, run: Run, **given: str) -> Run:
        """Start a run again, as anybody may who may write here."""
        return self.start(run.started.event, run.started.ref, run.started.payload, before=run.started, **given)

    def phase(self, run: Run, name: str, *options: str) -> str:
        """One phase more in the clone of a run, as the same run; what it says."""
        _, environment = self.checkout(run.started.event, run.started.ref, run.started.payload, run.started)
        environment |= {"MAKEWEIGHT_TOKEN": self.github.token, "GITHUB_RUN_ATTEMPT": "1"}
        own = Hub(self.folder, environment, self.github)
        return own.run("makeweight", "ci", name, *options, cwd=run.workspace / self.subfolder, ok=False)

    def start(
        self, event: str, ref: str, payload: dict[str, Any], *, before: Started | None = None, **given: str
    ) -> Run:
        """Clone as actions/checkout does, and run the Action."""
        place, environment = self.checkout(event, ref, payload, before)
        number, commit = int(environment["GITHUB_RUN_ID"]), environment["GITHUB_SHA"]
        uploads: dict[str, Path] = {}
        aside = Path(environment["HOME"]).parent

        def upload(used: Used) -> None:
            source = used.workspace / used.given["path"]
            assert source.exists(), used.given
            target = aside / "uploads" / used.given["name"]
            shutil.copytree(source, target)
            uploads[used.given["name"]] = target

        stands = {"actions/upload-artifact": upload}
        runner = Runner(place, aside / "temp", environment, stands, token=self.github.token)
        runner.cancel_at = given.pop("cancel_at", None)
        project = {"project": self.subfolder} if self.subfolder else {}
        started = Started(number, event, ref, payload, commit)
        return Run(runner.action(install="false", **project, **given), place, uploads, started)

    def checkout(
        self, event: str, ref: str, payload: dict[str, Any], before: Started | None = None
    ) -> tuple[Path, dict[str, str]]:
        """A fresh clone one commit deep, and the environment of its runner."""
        number = next(self.runs)
        place = self.folder / f"runner-{number}"
        place.mkdir()
        self.git("init", "-q", cwd=place)
        self.git("remote", "add", "origin", f"file://{self.origin}", cwd=place)
        self.git("fetch", "-q", "--depth=1", "--no-tags", "origin", before.commit if before else ref, cwd=place)
        self.git("checkout", "-q", "--detach", "FETCH_HEAD", cwd=place)
        if self.submodules:
            self.git(*LOCAL, "submodule", "update", "-q", "--init", cwd=place)
        aside = self.folder / f"aside-{number}"
        (aside / "home").mkdir(parents=True)
        repository = {"full_name": self.github.repository, "default_branch": "main"}
        told = aside / "event.json"
        told.write_text(json.dumps({"repository": repository, "sender": {"login": "dev"}, **payload}))
        environment = {
            **self.environment,
            "HOME": str(aside / "home"),
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(told),
            "GITHUB_REPOSITORY": self.github.repository,
            "GITHUB_SHA": self.git("rev-parse", "HEAD", cwd=place),
            "GITHUB_REF": ref if ref.startswith("refs/") else "refs/heads/main",
            "GITHUB_RUN_ID": str(before.number if before else 1000 + number),
            "GITHUB_RUN_ATTEMPT": "2" if before else "1",
            "GITHUB_API_URL": self.github.url,
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_ACTOR": "dev",
            "GITHUB_WORKSPACE": str(place),
        }
        return place, environment


@pytest.fixture(scope="session")
def plain(user_environment: dict[str, str], preloaded_commands: Path) -> dict[str, str]:
    """The environment of a user outside of any runner, even where these tests run in one; its commands are preloaded
    ones."""
    theirs = ("GITHUB_", "RUNNER_", "ACTIONS_")
    own = {name: value for name, value in user_environment.items() if not name.startswith(theirs) and name != "CI"}
    return preloaded.first(preloaded_commands, own)


@pytest.fixture(scope="session")
def seed(tmp_path_factory: pytest.TempPathFactory, plain: dict[str, str]) -> Path:
    """The repository as it is before any change: made once by the commands of a user, copied for each test."""

    return made_once(tmp_path_factory, "seed", lambda folder: _plant(Hub(folder, plain, Server())))


@pytest.fixture(scope="session")
def seed_of_two(seed: Path, tmp_path_factory: pytest.TempPathFactory, plain: dict[str, str]) -> Path:
    """The same with two variants, and a rule about growth."""

    def edit(hub: Hub) -> None:
        hub.config(("ship: int8\n", f"{OTHER}ship: int8\n"), GROWTH)(hub.work)

    return made_once(tmp_path_factory, "seed-of-two", lambda folder: begin(seed, folder, plain, edit))


def begin(
    seed: Path, folder: Path, plain: dict[str, str], edit: Callable[[Hub], None], how: Sequence[str] = ("repro",)
) -> None:
    """The seed after an edit that is made, measured and stored.

    Args:
        how: what DVC does. With `commit` it takes what lies there for made, where the edit makes the same.
    """
    shutil.copytree(seed, folder, symlinks=True, dirs_exist_ok=True)
    hub = Hub(folder, plain, Server())
    hub.git("remote", "set-url", "origin", str(hub.origin))
    edit(hub)
    hub.run("makeweight", "init")
    hub.run("dvc", *how, "-q")
    hub.run("dvc", "push", "-q")
    hub.change("main", lambda _: None)


def _plant(hub: Hub) -> None:
    hub.work.mkdir()
    hub.git("init", "-q", "-b", "main")
    save_model(hub.work)
    (hub.work / "makeweight.yaml").write_text(CONFIG)
    (hub.work / "time.sh").write_text(TIMES)
    (hub.work / "notes.txt").write_text("what the model is made of\n")
    establish(hub)


def establish(hub: Hub) -> None:
    """From a model and its makeweight.yaml to a repository that makes weight, by the commands of a user."""
    hub.run("makeweight", "init")
    hub.run("dvc", "remote", "add", "-q", "-d", "store", "../store")
    hub.run("dvc", "repro", "-q")
    hub.run("dvc", "push", "-q")
    hub.git("add", "-A")
    hub.git("commit", "-q", "-m", "a model that makes weight")
    publish(hub)


def publish(hub: Hub) -> None:
    """Make the origin of a developer's clone."""
    hub.git("clone", "-q", "--bare", str(hub.work), str(hub.origin))
    # as GitHub does: any commit may be asked for
    hub.git("config", "uploadpack.allowAnySHA1InWant", "true", cwd=hub.origin)
    hub.git("remote", "add", "origin", str(hub.origin))


@pytest.fixture
def hub(seed: Path, tmp_path: Path, plain: dict[str, str]) -> Iterator[Hub]:
    yield from grown(seed, tmp_path / "hub", plain)


@pytest.fixture
def hub_of_two(seed_of_two: Path, tmp_path: Path, plain: dict[str, str]) -> Iterator[Hub]:
    yield from grown(seed_of_two, tmp_path / "hub", plain)


def grown(seed: Path, folder: Path, plain: dict[str, str]) -> Iterator[Hub]:
    """A copy of a repository in a folder of its own, with a GitHub of its own."""
    shutil.copytree(seed, folder, symlinks=True)
    with Server() as github:
        found = Hub(folder, plain, github)
        found.git("remote", "set-url", "origin", str(found.origin))
        yield found
