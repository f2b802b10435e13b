"""Whether a commit is taken for its base, held against the content of a full checkout, all that DVC brings among it."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import yaml

from makeweight.ci.base import Base
from makeweight.ci.changed import Change, change
from makeweight.ci.git import Git
from makeweight.ci.tracked import Tracked
from makeweight.measurement import Measurement
from makeweight.pipeline.stages import stages
from makeweight.project.reading import understand

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "DVC_"))},
    **{f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "DVC_NO_ANALYTICS": "1",
}
CONFIG = """\
name: tiny
model: {onnx: models/net.onnx, inputs: {x: [N, 4]}}
sources: [code, lib, ../top.txt, config.txt]
data: {npz: {test: data/test.npz, calibration: calibration.npz}}
task: classification
seed: 0
variants:
  int8: {steps: [{quantize: {method: dynamic}}]}
devices: {local: {kind: local}}
budget: {size: {max_ratio: 0.5}}
"""
DEPENDENCIES = ("models/net.onnx", "code", "lib", "../top.txt", "config.txt", "data/test.npz", "calibration.npz")


class Repository:
    """A project in a folder of a repository: a model in a folder that DVC tracks whole, data that a stage of the user's
    makes from another such folder, code behind a link, and a file of git's above it."""

    def __init__(self, folder: Path, commands: Path) -> None:
        self.folder, self.commands = folder, commands
        self.top, self.root = folder / "work", folder / "work/proj"

    def run(self, *command: str, cwd: Path | None = None) -> str:
        environment = {**ENVIRONMENT, "DVC_SITE_CACHE_DIR": str(self.top.parent / "site")}
        done = subprocess.run(
            command, cwd=cwd or self.root, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def dvc(self, *arguments: str, cwd: Path | None = None) -> str:
        return self.run(str(self.commands / "dvc"), *arguments, cwd=cwd)

    def write(self, path: str, text: str) -> None:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.write_text(text)

    def commit(self) -> str:
        self.run("git", "add", "-A", "-f", ":/")
        self.run("git", "rm", "-q", "-r", "--cached", "--ignore-unmatch", "models", "raw", "data", "calibration.npz")
        self.run("git", "rm", "-q", "-r", "--cached", "--ignore-unmatch", ":/.dvc/cache", ":/.dvc/tmp")
        self.run("git", "commit", "-q", "--allow-empty", "-m", "x")
        return self.run("git", "rev-parse", "HEAD").strip()

    def make(self) -> None:
        self.root.mkdir(parents=True)
        self.run("git", "init", "-q", cwd=self.top)
        self.dvc("init", "-q", cwd=self.top)
        self.write("../.dvcignore", "*.py[co]\n")
        self.write("makeweight.yaml", CONFIG)
        for path in ("models/net.onnx", "models/other.onnx", "raw/r.txt", "code/größe.txt", "code/deep/b.txt"):
            self.write(path, path)
        for path in ("../shared/s.txt", "../top.txt", "calibration.npz", "config-1.txt", "config-2.txt"):
            self.write(path, path)
        (self.root / "lib").symlink_to("../shared")
        (self.root / "config.txt").symlink_to("config-1.txt")
        project = understand(CONFIG, "makeweight.yaml", self.root)
        ours = {name: body for name, body in stages(project).items() if name in ("baseline", "compress", "evaluate")}
        for body in ours.values():
            inner = body.get("do", body)
            outs = [
                path
                for out in (*inner["outs"], *inner.get("metrics", ()))
                for path in ([out] if isinstance(out, str) else out)
            ]
            inner["cmd"] = " && ".join(f"mkdir -p $(dirname {out}) && echo x > {out}" for out in outs)
        prepare = {"cmd": "mkdir -p data && cp raw/r.txt data/test.npz", "deps": ["raw"], "outs": ["data"]}
        pipeline = {"vars": ["makeweight.yaml:variants,devices"], "stages": {"prepare": prepare, **ours}}
        self.write("dvc.yaml", yaml.safe_dump(pipeline))
        self.dvc("add", "-q", "models", "raw", "calibration.npz")
        self.dvc("repro", "-q")
        self.commit()

    def seen(self, before: str, now: str) -> Change:
        project = understand(self.run("git", "show", f"{now}:./makeweight.yaml"), "makeweight.yaml", self.root)
        git = Git(self.root, ENVIRONMENT)
        timed = (Measurement("latency_p50", "int8", "s", 1.0, device="local"),)
        known = understand(self.run("git", "show", f"{before}:./makeweight.yaml"), "makeweight.yaml", self.root)
        lock = self.run("git", "show", f"{before}:./dvc.lock")
        base = Base(before, "main", known, lock, None, timed, {"failed": {}})
        return change(project, base, Tracked(git.commit_of(before)), Tracked(git.commit_of(now)), anew=False)

    def content(self, sha: str, place: Path) -> dict[str, object]:
        """All that the stages would find: every file that a dependency is, or that is in it, as DVC brings them."""
        self.run("git", "clone", "-q", str(self.top), str(place), cwd=self.top)
        self.run("git", "checkout", "-q", sha, cwd=place)
        (place / ".dvc/config.local").write_text(f"[cache]\n    dir = {self.top / '.dvc/cache'}\n")
        self.dvc("checkout", "-q", cwd=place / "proj")
        found: dict[str, object] = {}
        for dependency in DEPENDENCIES:
            top = place / "proj" / dependency
            files = (
                [top]
                if top.is_file()
                else sorted(Path(d, f) for d, _, fs in os.walk(top, followlinks=True) for f in fs)
            )
            assert files, dependency
            found |= {str(f.relative_to(place)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
        config = yaml.safe_load((place / "proj/makeweight.yaml").read_text())
        return {
            **found,
            "config": {key: config[key] for key in ("model", "data", "task", "seed", "variants", "sources")},
        }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, preloaded_commands: Path) -> Repository:
    repository = Repository(tmp_path_factory.mktemp("made"), preloaded_commands)
    repository.make()
    return repository


@pytest.fixture(scope="module")
def first(made: Repository, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The content that every edit begins with."""
    return made.content("HEAD", tmp_path_factory.mktemp("first") / "clone")


def copied(made: Repository, to: Path) -> Repository:
    shutil.copytree(made.folder, to, symlinks=True)
    return Repository(to, made.commands)


Edit = Callable[[Repository], None]


def text(path: str, content: str = "other") -> Edit:
    return lambda repository: repository.write(path, content)


def tracked(path: str, folder: str) -> Edit:
    def edit(repository: Repository) -> None:
        repository.write(path, f"other {path}")
        repository.dvc("add", "-q", folder)

    return edit


def link(path: str, target: str) -> Edit:
    def edit(repository: Repository) -> None:
        (repository.root / path).unlink()
        (repository.root / path).symlink_to(target)

    return edit


def remade(repository: Repository) -> None:
    tracked("raw/r.txt", "raw")(repository)
    repository.dvc("repro", "-q", "prepare")


IDLE: dict[str, Edit] = {
    "words": text("README.md"),
    "a file beside the code": text("elsewhere/x.txt"),
    "a comment in makeweight.yaml": lambda repository: repository.write("makeweight.yaml", f"# words\n{CONFIG}"),
    "a file of DVC's beside the data": tracked("elsewhere/big.bin", "elsewhere/big.bin"),
}
TELLING: dict[str, Edit] = {
    "a model in a folder that is tracked whole": tracked("models/net.onnx", "models"),
    "a file that is tracked by itself": tracked("calibration.npz", "calibration.npz"),
    "data that a stage made again": remade,
    "code deep down": text("code/deep/b.txt"),
    "code of a name that is not ASCII": text("code/größe.txt"),
    "new code": text("code/new.txt"),
    "byte code, which DVC is told to ignore": text("code/c.pyc"),
    "code that is hidden by a new line": lambda repository: [
        text("../.dvcignore", "*.py[co]\nhidden\n")(repository), text("code/hidden/x.txt")(repository)
    ][0],
    "what lies behind a link to a folder": text("../shared/s.txt"),
    "where a link to a file leads": link("config.txt", "config-2.txt"),
    "where a link to a file leads, by its content": text("config-1.txt"),
    "a file above the project": text("../top.txt"),
    "the recipe": lambda repository: repository.write("makeweight.yaml", CONFIG.replace("dynamic", "static")),
    "another file by the same name": lambda repository: repository.write(
        "makeweight.yaml", CONFIG.replace("models/net.onnx", "models/other.onnx")
    ),
}  # fmt: skip


def edited(made: Repository, to: Path, names: Iterable[str]) -> tuple[Repository, str, str, Change]:
    """The commits before and after some edits, and what is seen of them."""
    repository = copied(made, to)
    before = repository.run("git", "rev-parse", "HEAD").strip()
    for name in names:
        {**IDLE, **TELLING}[name](repository)
    now = repository.commit()
    return repository, before, now, repository.seen(before, now)


def test_what_is_no_dependency_changes_nothing(made: Repository, tmp_path: Path) -> None:
    _, _, _, seen = edited(made, tmp_path / "own", IDLE)
    assert not seen, seen.why


@pytest.mark.parametrize("name", TELLING)
def test_each_kind_of_dependency_tells(made: Repository, tmp_path: Path, name: str) -> None:
    _, _, _, seen = edited(made, tmp_path / "own", [name])
    assert seen


@pytest.mark.parametrize("draw", range(5))
def test_a_commit_is_its_base_only_where_all_content_is(
    made: Repository, first: dict[str, object], tmp_path: Path, draw: int
) -> None:
    rng = random.Random(draw)
    names = rng.sample([*IDLE], rng.randint(0, 2)) + rng.sample([*TELLING], draw and rng.randint(0, 3))
    repository, _, now, seen = edited(made, tmp_path / "own", names)
    assert bool(seen) is (repository.content(now, tmp_path / "clone") != first), (names, seen.why)
