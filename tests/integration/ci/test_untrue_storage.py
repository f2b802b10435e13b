"""DVC as a change may set it up: what it skips, what it brings, and whether that is what the lock names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from makeweight.ci import compress, content, lock
from makeweight.ci.changed import Change
from makeweight.ci.dvc import Dvc
from makeweight.ci.git import Git
from makeweight.ci.state import State
from makeweight.ci.tracked import Tracked
from makeweight.pipeline.stages import stages
from makeweight.project.reading import understand
from makeweight_base.errors import EnvironmentFailed, UsageError
from makeweight_base.progress import Silent

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "DVC_"))},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "DVC_NO_ANALYTICS": "1",
}
BASELINE = {
    "cmd": "mkdir -p artifacts/baseline && cp code/m.txt data/w artifacts/baseline",
    "deps": ["code", "data/w"],
    "params": [{"makeweight.yaml": ["classes"]}],
    "outs": ["artifacts/baseline"],
}
OTHERS = {name: {"cmd": f"echo {name}"} for name in ("compress", "evaluate")}


class Repository:
    """One stage that makes an artifact from code (git's) and data (DVC's), and a remote that has both."""

    def __init__(self, folder: Path, commands: Path) -> None:
        self.folder, self.commands = folder, commands
        self.root, self.remote, self.state = folder / "work", folder / "remote", folder / "state"

    def make(self) -> None:
        self.root.mkdir()
        self.run("git", "init", "-q")
        self.dvc("init", "-q")
        self.dvc("remote", "add", "-q", "-d", "store", "../remote")
        self.write("code/m.txt", "code")
        self.write("data/w", "data")
        self.write("dvc.yaml", yaml.safe_dump({"stages": {"baseline": BASELINE, **OTHERS}}))
        self.write("makeweight.yaml", "classes: ['on', 'yes', '12:30:45', '1e3', '010', '0o17', '~', '1_000', '.5']\n")
        self.dvc("add", "-q", "data/w")
        self.dvc("repro", "-q", "baseline")
        self.run("git", "add", "-A")
        self.dvc("push", "-q")

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def run(self, *command: str) -> str:
        environment = {**ENVIRONMENT, "DVC_SITE_CACHE_DIR": str(self.state)}
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def dvc(self, *arguments: str) -> str:
        return self.run(str(self.commands / "dvc"), *arguments)

    def forget(self) -> None:
        for path in ("artifacts", ".dvc/cache", ".dvc/tmp"):
            shutil.rmtree(self.root / path, ignore_errors=True)
        (self.root / "data/w").unlink(missing_ok=True)
        shutil.rmtree(self.state, ignore_errors=True)

    def pipeline(self) -> Dvc:
        return Dvc(self.root, {**ENVIRONMENT, "DVC_SITE_CACHE_DIR": str(self.state)}, Silent())

    def lock(self) -> Mapping[str, Any]:
        return lock.stages((self.root / "dvc.lock").read_text(), "dvc.lock")

    def stored(self, text: str) -> Path:
        """Where the remote keeps a content."""
        (found,) = (path for path in self.remote.rglob("*") if path.is_file() and path.read_text() == text)
        return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, preloaded_commands: Path) -> Repository:
    repository = Repository(tmp_path_factory.mktemp("made"), preloaded_commands)
    repository.make()
    return repository


@pytest.fixture
def repository(made: Repository, tmp_path: Path, preloaded_dvc: None) -> Repository:
    """As in a fresh checkout: nothing made, brought or remembered."""
    shutil.copytree(made.folder, tmp_path / "own", symlinks=True)
    found = Repository(tmp_path / "own", made.commands)
    found.forget()
    return found


def test_dvc_skips_what_is_as_it_was_after_the_locks_were_joined_and_nothing_that_is_left_out(
    repository: Repository,
) -> None:
    """And among its parameters are texts that YAML 1.1 takes for something else."""
    path, dry = repository.root / "dvc.lock", ("repro", "--dry", "--allow-missing", "baseline")
    own = path.read_text()
    path.write_text(lock.joined(None, own))
    assert "Stage 'baseline' didn't change, skipping" in repository.dvc(*dry)
    repository.write("data/w", "data")
    path.write_text(lock.joined(None, own, without=["baseline"]))
    assert "Running stage 'baseline'" in repository.dvc(*dry)


def test_what_the_remote_holds_under_a_hash_is_looked_at(repository: Repository) -> None:
    pipeline = repository.pipeline()
    assert pipeline.has_remote()
    assert pipeline.pull(["baseline"]) is None
    pipeline.reproduce(["baseline"], "--pull", "--allow-missing")
    assert pipeline.untrue(["baseline"]) == []
    assert content.is_as_named(repository.root, repository.lock())

    repository.forget()
    code, data = repository.stored("code"), repository.stored("data")
    for stored in (code, data):
        stored.chmod(0o644)
        stored.write_text("forged")
    pipeline = repository.pipeline()
    assert pipeline.pull(["baseline"]) is None
    pipeline.reproduce(["baseline"], "--pull", "--allow-missing")
    # DVC itself has no objection
    assert (repository.root / "artifacts/baseline/m.txt").read_text() == "forged"
    assert json.loads(repository.dvc("status", "--json", "baseline")) == {
        "baseline": [{"changed deps": {"data/w": "deleted"}}]
    }
    assert pipeline.untrue(["baseline"]) == ["artifacts/baseline"]
    assert not content.is_as_named(repository.root, repository.lock())
    repository.dvc("pull", "-q", "data/w.dvc")
    assert pipeline.untrue(["baseline"]) == ["artifacts/baseline", "data/w"]


def test_a_file_of_gits_beside_it_vouches_for_nothing(repository: Repository) -> None:
    repository.pipeline().pull(["baseline"])
    repository.dvc("pull", "-q", "data/w.dvc")
    git = Git(repository.root, ENVIRONMENT)
    text, made = (repository.root / "dvc.yaml").read_text(), repository.lock()
    compress._refuse_untrue(repository.root, text, made, repository.pipeline(), git)
    # what the code leaves beside itself is no forgery
    repository.write("code/__pycache__/m.pyc", "compiled")
    assert repository.pipeline().untrue(["baseline"]) == ["code"]
    compress._refuse_untrue(repository.root, text, made, repository.pipeline(), git)
    repository.write("artifacts/baseline/extra", "x")
    repository.run("git", "add", "-f", "artifacts/baseline/extra")
    with pytest.raises(EnvironmentFailed, match=r"`artifacts/baseline` is not what dvc\.lock names"):
        compress._refuse_untrue(repository.root, text, made, repository.pipeline(), git)


CONFIG = """\
name: tiny
model: {onnx: tiny.onnx, inputs: {x: [N, 4]}}
sources: [code]
data: {npz: {test: data/w, calibration: calibration.npz}}
task: classification
seed: 0
variants: {int8: {steps: [{quantize: {method: dynamic}}]}}
devices: {local: {kind: local}}
budget: {size: {max_ratio: 0.5}}
"""


@pytest.mark.parametrize("lost", ["tiny.onnx", "code", "calibration.npz", "data/w.dvc"])
def test_what_is_gone_for_good_is_not_taken_for_what_is_elsewhere(repository: Repository, lost: str) -> None:
    """`--allow-missing` would have DVC let it pass, and the base's artifacts would stay."""
    project = replace(understand(CONFIG, "makeweight.yaml", repository.root), root=repository.root)
    repository.write("makeweight.yaml", CONFIG)
    repository.write("dvc.yaml", yaml.safe_dump({"vars": ["makeweight.yaml"], "stages": stages(project)}))
    repository.write("tiny.onnx", "model")
    repository.write("calibration.npz", "examples")
    git = Git(repository.root, ENVIRONMENT)
    compress._refuse_lost(project, committed(repository, git))  # the data are DVC's to bring
    place = repository.root / lost
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    named = lost.removesuffix(".dvc")

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("nothing is laid, brought or made")

    git.files = never  # type: ignore[method-assign]
    with pytest.raises(UsageError, match=f"`{named}` is neither in this commit") as told:
        compress.run(project, None, Change({}), committed(repository, git), State(None), git, never, Silent())
    assert told.value.where == "makeweight.yaml"


def committed(repository: Repository, git: Git) -> Tracked:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    repository.run("git", "add", "-A")
    repository.run("git", *who, "commit", "-q", "--allow-empty", "-m", "x")
    return Tracked(git.commit_of("HEAD"))
