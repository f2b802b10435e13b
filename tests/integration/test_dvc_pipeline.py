"""The stages under real DVC: what runs when, with a stand-in for `makeweight` that writes what each verb writes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from makeweight.pipeline.merge import merge
from makeweight.project.reading import understand

# Reads what the real verb reads and writes what it writes, in milliseconds; appends its arguments to ran.txt.
STAND_IN = """#!{python}
import hashlib, json, os, sys, time
from pathlib import Path

def config():
    import yaml
    return yaml.safe_load(open("makeweight.yaml"))

def digest(*paths):
    files = [f for p in map(Path, paths) for f in (sorted(p.rglob("*")) if p.is_dir() else [p]) if f.is_file()]
    return hashlib.sha256(b"".join(f.read_bytes() for f in files if f.suffix != ".pyc")).hexdigest()

def put(path, text):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)

def metric(path, **values):
    put(path, json.dumps(values))

verb, *rest = sys.argv[1:]
with open(os.environ["RAN"], "a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
if verb == "baseline":
    put("artifacts/baseline/model", digest("base.pt"))
    put("samples/baseline/evaluate.npz", digest("base.pt", "code"))
    metric("reports/baseline/evaluate.json", accuracy=0.9)
    metric("reports/baseline/reference.json", classes=10)
elif verb == "compress":
    put(f"artifacts/{{rest[0]}}/model", digest("artifacts/baseline") + json.dumps(config()["variants"][rest[0]]))
    if rest[0] == "slim":
        put("samples/slim/training/training_loss.tsv", "epoch\\tvariant\\tcontrol\\n1\\t0.5\\t0.25\\n2\\t0.25\\t\\n")
    else:
        put(f"samples/{{rest[0]}}/training/untrained.txt", "no curves")
elif verb == "evaluate":
    name = rest[0]
    put(f"samples/{{name}}/evaluate.npz", digest(f"artifacts/{{name}}", "code"))
    put(f"samples/{{name}}/flips/flips.json", "[]")
    metric(f"reports/{{name}}/evaluate.json", accuracy=0.8)
    metric(f"reports/{{name}}/reference.json", classes=10)
elif verb == "device":
    metric(f"reports/devices/{{rest[0]}}.json", cpu=os.environ.get("CPU", "one"))
elif verb == "benchmark":
    name, device = rest[0], rest[2]
    put(f"samples/{{name}}/{{device}}.npz", str(time.time_ns()))
    metric(f"reports/{{name}}/{{device}}.json", latency_p50=0.001)
elif verb == "report":
    there = sorted(p.parts[1] for p in Path("samples").glob("*/local.npz"))
    passes = config()["budget"]["size"]["max_ratio"] >= 0.5
    metric("reports/verdict.json", verdict="pass" if passes else "fail", seen=there)
    put("reports/report.md", "report")
    put("reports/report.html", "report")
    put("reports/model-card.md", "card")
    put("reports/plots/points.json", json.dumps([{{"size": 1, "accuracy": 2}}]))
elif verb == "gate":
    if json.loads(Path("reports/verdict.json").read_text())["verdict"] != "pass":
        sys.exit("size.max_ratio: slim is 0.55x, at most 0.1x")
elif verb == "ship":
    if json.loads(Path("reports/verdict.json").read_text())["verdict"] != "pass":
        sys.exit("nothing ships")
    put("shipped/model", Path("artifacts/slim/model").read_text())
"""

# a colon stands in block style: `dvc exp run --set-param` drops quotes; ruamel's parser in C refuses it in flow style
CONFIG = """\
name: net
model:
  build: code.model:build
  weights: base.pt
  inputs: {x: [N, 4]}
sources: [code/]
data:
  load: code.data:load
task: classification   # what it does
seed: 0
variants:
  int8:
    steps: [{quantize: {method: static}}]
  slim:
    steps:
      - prune: {structure: channel, ratio: 0.5}
devices:
  local: {kind: local}
budget:
  size: {max_ratio: 0.6}
waivers:
  - {rule: size.max_ratio, reason: DVC cannot keep a date as a parameter, until: 2030-01-31}
"""

pytestmark = pytest.mark.slow

PLOTS = [
    {"points": {"x": {"reports/plots/points.json": "size"}, "y": {"reports/plots/points.json": "accuracy"}}},
    {"samples/slim/training": {"x": "epoch", "y": ["variant", "control"]}},
]

Repro = Callable[..., "Ran"]


class Ran:
    """How a call of DVC ended, and which verbs it called."""

    def __init__(self, done: subprocess.CompletedProcess[str], verbs: list[str]) -> None:
        self.code, self.out, self.err, self.verbs = done.returncode, done.stdout, done.stderr, verbs

    @property
    def text(self) -> str:
        return self.out + self.err


class Repo:
    """A model repository with the stages in it and the stand-in on its PATH."""

    def __init__(self, folder: Path, tools: Path, python: Path) -> None:
        self.folder, self._python = folder, python
        self._log = tools / f"{folder.name}.log"
        self._environment = {
            **os.environ,
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "RAN": str(self._log),
            "DVC_NO_ANALYTICS": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_AUTHOR_NAME": "a",
            "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "a",
            "GIT_COMMITTER_EMAIL": "a@example.org",
        }

    def dvc(self, *arguments: str, **environment: str) -> Ran:
        return self._run([str(self._python), "-m", "dvc", *arguments], environment)

    def git(self, *arguments: str) -> Ran:
        done = self._run(["git", *arguments], {})
        assert done.code == 0, done.text
        return done

    def _run(self, command: list[str], environment: dict[str, str]) -> Ran:
        self._log.write_text("")
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**self._environment, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return Ran(done, self._log.read_text().splitlines())

    def read(self, path: str) -> str:
        return (self.folder / path).read_text()

    def write(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)

    def edit(self, path: str, old: str, new: str) -> None:
        assert old in self.read(path)
        self.write(path, self.read(path).replace(old, new))

    def merge(self) -> list[str]:
        pipeline = self.folder / "dvc.yaml"
        project = understand(self.read("makeweight.yaml"), "makeweight.yaml", self.folder)
        text, changes = merge(pipeline.read_text() if pipeline.exists() else None, project, PLOTS)
        pipeline.write_text(text)
        return changes


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tools")
    command = folder / "makeweight"
    command.write_text(STAND_IN.format(python=sys.executable))
    command.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tools: Path, preloaded_commands: Path) -> tuple[Repo, Ran]:
    """A repository whose pipeline has run once and is committed, and how that run went."""
    repo = Repo(tmp_path_factory.mktemp("finished"), tools, preloaded_commands / "python3")
    repo.write("makeweight.yaml", CONFIG)
    repo.write("code/model.py", "model = 1\n")
    repo.write("base.pt", "weights")
    repo.write(".gitignore", "/artifacts/\n/samples/\n__pycache__/\n")
    repo.git("init", "-q")
    repo.dvc("init", "-q")
    repo.write(".dvcignore", "__pycache__/\n")
    repo.merge()
    first = repo.dvc("repro")
    repo.git("add", "-A")
    repo.git("commit", "-qm", "first")
    return repo, first


@pytest.fixture
def repo(finished: tuple[Repo, Ran], tmp_path: Path, tools: Path, preloaded_commands: Path) -> Repo:
    """A copy to work in."""
    folder = tmp_path / tmp_path.name
    shutil.copytree(finished[0].folder, folder, symlinks=True)
    return Repo(folder, tools, preloaded_commands / "python3")


def test_the_first_run_calls_every_verb_in_order(finished: tuple[Repo, Ran]) -> None:
    _, first = finished
    assert first.code == 0, first.text
    assert sorted(first.verbs) == sorted(
        [
            "baseline", "compress int8", "compress slim", "evaluate int8", "evaluate slim", "device local",
            "benchmark int8 --device local", "benchmark slim --device local", "report", "gate", "ship",
        ]
    )  # fmt: skip
    at = first.verbs.index
    assert at("baseline") < at("compress int8") < at("evaluate int8") < at("report") < at("gate") < at("ship")
    assert max(at("device local"), at("compress slim")) < at("benchmark slim --device local") < at("report")


def test_nothing_changed_runs_only_the_device(repo: Repo) -> None:
    """Byte code in a source folder is no change."""
    repo.write("code/__pycache__/model.cpython-312.pyc", "x")
    again = repo.dvc("repro")
    assert (again.code, again.verbs) == (0, ["device local"])
    assert repo.git("status", "--short").out == ""
    assert json.loads(repo.dvc("status", "--json").out) == {"device@local": ["always changed"]}


def test_one_recipe_changed_runs_that_variant(repo: Repo) -> None:
    repo.edit("makeweight.yaml", "ratio: 0.5", "ratio: 0.7")
    changed = repo.dvc("repro")
    assert sorted(changed.verbs) == sorted(
        ["compress slim", "evaluate slim", "device local", "benchmark slim --device local", "report", "ship"]
    )


def test_a_variant_and_a_device_are_added_without_touching_dvc_yaml(repo: Repo) -> None:
    before = repo.read("dvc.yaml")
    repo.edit("makeweight.yaml", "variants:\n", "variants:\n  half:\n    steps: [float16]\n")
    added = repo.dvc("repro")
    assert sorted(added.verbs) == sorted(
        ["compress half", "evaluate half", "device local", "benchmark half --device local", "report", "gate", "ship"]
    )
    assert json.loads(repo.read("reports/verdict.json"))["seen"] == ["half", "int8", "slim"]
    repo.edit("makeweight.yaml", "devices:\n", "devices:\n  two: {kind: local, threads: 2}\n")
    wider = repo.dvc("repro")
    assert [verb for verb in wider.verbs if "local" not in verb] == [
        "device two", "benchmark half --device two", "benchmark int8 --device two", "benchmark slim --device two",
        "report",
    ]  # fmt: skip
    assert repo.read("dvc.yaml") == before


def test_a_renamed_variant_runs_under_its_new_name_only(repo: Repo) -> None:
    repo.edit("makeweight.yaml", "  slim:\n", "  thin:\n")
    renamed = repo.dvc("repro")
    assert renamed.code == 0, renamed.text
    assert {verb.split()[1] for verb in renamed.verbs if verb.split()[0] != "device" and " " in verb} == {"thin"}
    assert "slim" not in repo.dvc("metrics", "show").out


def test_the_users_code_re_runs_what_depends_on_it(repo: Repo) -> None:
    repo.edit("code/model.py", "1", "2")
    edited = repo.dvc("repro")
    # the artifacts come out the same, so nothing is measured again
    assert sorted(edited.verbs) == sorted(
        [
            "baseline",
            "compress int8",
            "compress slim",
            "evaluate int8",
            "evaluate slim",
            "device local",
            "report",
        ]
    )


def test_another_device_is_measured_anew_and_never_served_from_the_run_cache(repo: Repo) -> None:
    benchmarks = ["benchmark int8 --device local", "benchmark slim --device local"]
    own = repo.read("samples/slim/local.npz")
    moved = repo.dvc("repro", CPU="another")
    assert [verb for verb in moved.verbs if verb.startswith("benchmark")] == benchmarks
    other = repo.read("samples/slim/local.npz")
    assert other != own
    # back home, what was measured here on these artifacts still holds
    back = repo.dvc("repro")
    assert [verb for verb in back.verbs if verb.startswith("benchmark")] == []
    assert repo.read("samples/slim/local.npz") == own


def test_a_broken_budget_fails_at_the_gate_with_the_report_written(repo: Repo) -> None:
    repo.edit("makeweight.yaml", "max_ratio: 0.6", "max_ratio: 0.1")
    broken = repo.dvc("repro")
    assert broken.code == 255
    assert broken.verbs == ["device local", "report", "gate"]
    assert json.loads(repo.read("reports/verdict.json"))["verdict"] == "fail"
    lines = [line for line in broken.err.splitlines() if line.strip()]
    assert lines[-2] == "size.max_ratio: slim is 0.55x, at most 0.1x"
    assert lines[-1].startswith("ERROR: failed to reproduce 'gate'")
    assert repo.dvc("repro").verbs == ["device local", "gate"]
    # nothing ships, by itself neither, and what shipped before stays, in the folder and in the lock
    shipped, noted = repo.read("shipped/model"), repo.read("dvc.lock").partition("\n  ship:\n")[2]
    assert repo.dvc("repro", "--single-item", "ship").code == 255
    assert repo.read("shipped/model") == shipped
    assert noted
    assert repo.read("dvc.lock").partition("\n  ship:\n")[2] == noted
    repo.edit("makeweight.yaml", "max_ratio: 0.1", "max_ratio: 0.6")
    assert repo.dvc("repro").code == 0


def test_metrics_plots_and_experiments_work_on_it(repo: Repo) -> None:
    shown = json.loads(repo.dvc("metrics", "show", "--json").out)[""]["data"]
    assert set(shown) == {
        *(f"reports/{variant}/evaluate.json" for variant in ("baseline", "int8", "slim")),
        *(f"reports/{variant}/local.json" for variant in ("int8", "slim")),
    }
    plots = json.loads(repo.dvc("plots", "show", "--json").out)
    assert "errors" not in plots
    assert "points" in plots["data"]
    (curves,) = plots["data"]["samples/slim/training/training_loss.tsv"]
    drawn = [(row["field"], row["epoch"], row["dvc_inferred_y_value"]) for row in curves["content"]["data"]["values"]]
    assert drawn == [("variant", "1", "0.5"), ("variant", "2", "0.25"), ("control", "1", "0.25"), ("control", "2", "")]
    tried = repo.dvc("exp", "run", "-S", "makeweight.yaml:variants.slim.steps.0.prune.ratio=0.4")
    assert tried.code == 0, tried.text
    assert [verb for verb in tried.verbs if verb.startswith("compress")] == ["compress slim"]
    repo.edit("reports/slim/evaluate.json", "0.8", "0.7")
    diff = json.loads(repo.dvc("metrics", "diff", "--json").out)
    assert diff["reports/slim/evaluate.json"]["accuracy"]["diff"] == pytest.approx(-0.1)


def test_weights_that_a_stage_of_the_users_makes_come_first(repo: Repo) -> None:
    mine = "stages:\n  train:   # mine\n    cmd: cp recipe.txt base.pt\n    deps: [recipe.txt]\n    outs: [base.pt]\n"
    repo.write("recipe.txt", "new weights")
    repo.write("dvc.yaml", mine)
    repo.git("rm", "-q", "--cached", "base.pt")
    assert repo.merge()
    assert repo.read("dvc.yaml").startswith(mine)
    trained = repo.dvc("repro")
    assert trained.code == 0, trained.text
    assert "baseline" in trained.verbs
    assert trained.text.index("Running stage 'train'") < trained.text.index("Running stage 'baseline'")


def test_a_fresh_clone_runs_nothing_but_the_device(
    repo: Repo, tmp_path: Path, tools: Path, preloaded_commands: Path
) -> None:
    repo.dvc("remote", "add", "-q", "-d", "store", str(tmp_path / "store"))
    repo.git("commit", "-qam", "remote")
    assert repo.dvc("push", "-q").code == 0

    def clone(name: str) -> Repo:
        repo.git("clone", "-q", ".", str(tmp_path / name))
        return Repo(tmp_path / name, tools, preloaded_commands / "python3")

    # nothing is downloaded, because nothing is needed
    lean = clone("lean")
    bare = lean.dvc("repro", "--pull", "--allow-missing")
    assert (bare.code, bare.verbs) == (0, ["device local"]), bare.text
    assert not (lean.folder / "samples").exists()
    # a report needs every variant's samples: without --allow-missing, or after a pull, they are there
    for name, commands in (
        ("pulls", [("repro", "--pull")]),
        (
            "pulled",
            [
                ("pull", "-q", "--allow-missing", "baseline", "compress", "evaluate", "benchmark"),
                ("repro", "--pull", "--allow-missing"),
            ],
        ),
    ):
        full = clone(name)
        full.edit("makeweight.yaml", "ratio: 0.5", "ratio: 0.7")
        for command in commands:
            done = full.dvc(*command)
            assert done.code == 0, done.text
        assert sorted(done.verbs) == sorted(
            ["compress slim", "evaluate slim", "device local", "benchmark slim --device local", "report", "ship"]
        )
        assert json.loads(full.read("reports/verdict.json"))["seen"] == ["int8", "slim"]
    # with both flags and no pull DVC cannot bring a folder that several stages write: it stops, and says so
    short = clone("short")
    short.edit("makeweight.yaml", "max_ratio: 0.6", "max_ratio: 0.7")
    stopped = short.dvc("repro", "--pull", "--allow-missing")
    assert stopped.code == 255
    assert "report" not in stopped.verbs


@pytest.mark.parametrize(
    "theirs",
    [
        "stages: {train: {cmd: echo x}}\n",
        "stages:\r\n  train:\r\n    cmd: echo x\r\n",
        "base: &base {deps: [code]}\nstages:\n  train:\n    <<: *base\n    cmd: echo x\n",
    ],
)
def test_dvc_reads_what_was_merged(repo: Repo, theirs: str) -> None:
    if "&base" in theirs:
        theirs = theirs.replace("base: &base {deps: [code]}", "vars:\n  - x: &base {deps: [code]}")
    (repo.folder / "dvc.yaml").write_bytes(theirs.encode())
    project = understand(CONFIG, "makeweight.yaml", repo.folder)
    text, _ = merge(theirs, project, PLOTS)
    (repo.folder / "dvc.yaml").write_bytes(text.encode())
    listed = repo.dvc("stage", "list", "--name-only")
    assert listed.code == 0, listed.text
    assert listed.out.split() == [
        "train", "baseline", "compress@int8", "compress@slim", "evaluate@int8", "evaluate@slim", "device@local",
        "benchmark@local-int8", "benchmark@local-slim", "report", "gate", "ship",
    ]  # fmt: skip
