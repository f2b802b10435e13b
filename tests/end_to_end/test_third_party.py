"""A runtime, a technique and a device of an installed package that makeweight knows nothing of, to the verdict."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "tests" / "third_party"
FEATURES, CLASSES, HIDDEN = 16, 3, 256

MODEL = f"""
import torch

def build():
    return torch.nn.Sequential(
        torch.nn.Linear({FEATURES}, {HIDDEN}), torch.nn.ReLU(), torch.nn.Linear({HIDDEN}, {CLASSES})
    )
"""
DATA = f"""
import numpy as np

def load(split):
    rng = np.random.default_rng({{"train": 0, "validation": 1, "test": 2}}[split])
    values = rng.standard_normal((300, {FEATURES})).astype(np.float32)
    return values, values[:, :{CLASSES}].argmax(1).astype(np.int64)
"""
TRAIN = """
import torch
from model import build
from data import load

torch.manual_seed(0)
module, (values, labels) = build(), load("train")
optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
for _ in range(60):
    loss = torch.nn.functional.cross_entropy(module(torch.from_numpy(values)), torch.from_numpy(labels))
    optimizer.zero_grad(); loss.backward(); optimizer.step()
torch.save(module.state_dict(), "weights.pt")
"""
CONFIG = """
name: pocket
model: {{build: "model:build", weights: weights.pt, inputs: {{x: [N, {features}]}}, runtime: pocket}}
sources: [model.py, data.py]
data: {{load: "data:load"}}
task: classification
seed: 0
variants:
  snapped: {{steps: [{{snap: {{grid: 0.125}}}}]}}
  half: {{steps: [float16]}}
  elsewhere: {{runtime: onnxruntime, steps: [{{quantize: {{method: static}}}}]}}
devices:
  drawer: {{kind: drawer, folder: "{folder}", interpreter: "{interpreter}", processes: 1}}
  here: {{kind: local, processes: 1}}
budget:
  accuracy: {{max_drop: 5 pt}}
  latency_p50: {{max_ratio: 50x, device: drawer}}
"""

IN_TURN = """
import contextlib, io, json, sys
from makeweight.cli import main
from makeweight.verbs import benchmark

benchmark.TAIL_SECONDS = 0.1  # no rule is about a tail

told = {}
for line in sys.argv[1:]:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main(line.split())
    told[line] = code, said.getvalue()
print(json.dumps(told))
"""
VARIANTS = ("snapped", "half", "elsewhere")
MODELS = tuple(f"artifacts/{name}" for name in ("baseline/model.pocket", "half/model.pocket", "elsewhere/model.onnx"))
COMPARED = {
    name: f"compare {MODELS[0]} {model} --device here --max-ratio {ratio} --json"
    for name, model, ratio in (("half", MODELS[1], 50), ("elsewhere", MODELS[2], 99))
}
# What a file says, what it says by mistake, and what is told of that.
MISTAKES = {
    "option": ("grid: 0.125", "gird: 0.125", "did you mean `grid`?"),
    "format that it does not offer": ("steps: [float16]", "steps: [quantize]", "pocket offers float32 and float16"),
    "runtime": ("runtime: pocket", "runtime: pockt", "did you mean `pocket`?"),
    "device": ("kind: drawer", "kind: drawr", "did you mean `drawer`?"),
}


class User:
    """Somebody with the package installed beside makeweight, and a drawer that has it beside numpy alone."""

    def __init__(self, root: Path, environment: dict[str, str], folder: Path) -> None:
        self.root, self.folder = root, folder
        self._environment = environment
        self._said: dict[str, tuple[int, str]] = {}

    def in_turn(self, *lines: str, before: str = "") -> dict[str, tuple[int, str]]:
        """How verbs end, one after the other, and what they say; in one process: each of its own would import torch
        anew.

        Args:
            before: what that process runs first.
        """
        done = subprocess.run(
            [sys.executable, "-c", before + IN_TURN, *lines],
            cwd=self.root,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        told = json.loads(done.stdout.splitlines()[-1])
        return {line: (code, said) for line, (code, said) in told.items()}

    def make(self, *lines: str) -> None:
        """Train, then call these verbs."""
        self._said = self.in_turn(*lines, before=TRAIN)

    def said(self, line: str, code: int = 0) -> str:
        """By a verb that `make` called, which ended so."""
        ended, said = self._said[line]
        assert ended == code, said
        return said

    def json(self, path: str) -> Any:
        return json.loads((self.root / path).read_text())


def furnished(machine: Path, site: Path) -> Path:
    """A Python that has what is installed there, the NumPy that it asks for, and nothing else."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", machine], check=True)
    (packages,) = machine.glob("lib/python*/site-packages")
    shutil.copytree(site, packages, dirs_exist_ok=True)
    for part in Path(np.__file__).parents[1].glob("numpy*"):
        (packages / part.name).symlink_to(part)
    return machine / "bin" / "python"


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory, user_environment: dict[str, str]) -> User:
    root, site, machine, folder = (tmp_path_factory.mktemp(name) for name in ("user", "site", "machine", "drawer"))
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    install = ["install", "--no-compile", "--no-build-isolation", "--no-deps", "--target", site]
    subprocess.run([*pip, *install, PACKAGE], check=True)
    interpreter = furnished(machine, site)
    for name, text in (("model.py", MODEL), ("data.py", DATA)):
        (root / name).write_text(text)
    config = CONFIG.format(features=FEATURES, folder=folder, interpreter=interpreter)
    (root / "makeweight.yaml").write_text(config)
    for name, (right, wrong, _) in MISTAKES.items():
        place = root / name.replace(" ", "-")
        place.mkdir()
        assert right in config
        (place / "makeweight.yaml").write_text(config.replace(right, wrong))
    made = User(root, {**user_environment, "PYTHONPATH": str(site)}, folder)
    made_of = ["baseline", *(f"{verb} {name}" for name in VARIANTS for verb in ("compress", "evaluate"))]
    devices = ["device drawer", "device here"]
    made.make(
        *(*made_of, *devices, *(f"benchmark {name} --device drawer" for name in VARIANTS)),
        *("benchmark elsewhere --device here", "report", "gate", *COMPARED.values()),
        *(f"report --project {name.replace(' ', '-')}" for name in MISTAKES),
    )
    for line in (*made_of, *devices):
        made.said(line)
    return made


def _scores(path: Path, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The chain computed by plain numpy."""
    with np.load(path) as data:
        hidden = np.maximum(values @ data["0.weight"].astype("f4").T + data["0.bias"].astype("f4"), 0)
        return np.asarray(hidden @ data["1.weight"].astype("f4").T + data["1.bias"].astype("f4"))


def _test_split() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    values = np.random.default_rng(2).standard_normal((300, FEATURES)).astype(np.float32)
    return values, values[:, :CLASSES].argmax(1)


@pytest.mark.parametrize("variant", ["baseline", "snapped", "half"])
def test_its_models_are_weighed_and_evaluated(user: User, variant: str) -> None:
    manifest = user.json(f"artifacts/{variant}/manifest.json")
    model = user.root / "artifacts" / variant / "model.pocket"
    assert manifest["status"] == "ready"
    assert manifest["parameters"] == FEATURES * HIDDEN + HIDDEN + HIDDEN * CLASSES + CLASSES
    figures = user.json(f"reports/{variant}/evaluate.json")
    values, labels = _test_split()
    assert figures["accuracy"] == pytest.approx((_scores(model, values).argmax(1) == labels).mean())
    assert figures["size_kb"] == pytest.approx(model.stat().st_size / 1e3, rel=1e-12)


def test_its_technique_did_what_it_says_and_told_it(user: User) -> None:
    with np.load(user.root / "artifacts" / "snapped" / "model.pocket") as data:
        assert np.array_equal(data["0.weight"] * 8, np.round(data["0.weight"] * 8))
    notes = user.json("artifacts/snapped/manifest.json")["notes"]
    assert 0 < notes["snap"]["moved"] <= FEATURES * HIDDEN + HIDDEN + HIDDEN * CLASSES + CLASSES


def test_its_device_measures_its_runtime_where_nothing_else_is_installed(user: User) -> None:
    told = user.said("benchmark snapped --device drawer")
    assert "the baseline's time" in told
    figures = user.json("reports/snapped/drawer.json")
    # rounded weights take as long as others
    assert 0.5 < figures["latency_p50_ratio"] < 2
    assert user.json("reports/devices/drawer.json")["identity"]["runtimes"].keys() == {"pocket"}
    assert list(user.folder.rglob("probe.zip")), "the probe was sent there"


def test_a_runtime_that_the_device_has_not_is_named(user: User) -> None:
    told = user.said("benchmark elsewhere --device drawer", code=4)
    assert "onnxruntime" in told
    assert "drawer" in told


def test_a_variant_on_another_runtime_is_held_against_the_baseline(user: User) -> None:
    """Both were run, each in its process: int8 is near the baseline, by the name that its output has there."""
    manifest = user.json("artifacts/elsewhere/manifest.json")
    assert [port["name"] for port in manifest["model"]["outputs"]] == ["scores"]
    assert manifest["trial"]["against"] == "baseline"
    assert 20 < manifest["trial"]["decibels"]["scores"] < 60


def test_two_runtimes_take_turns_in_processes_of_their_own(user: User) -> None:
    user.said("benchmark elsewhere --device here")
    assert user.json("reports/elsewhere/here.json")["latency_p50_ratio"] > 0


def test_compare_knows_its_files(user: User) -> None:
    answer = json.loads(user.said(COMPARED["half"]))
    assert answer["verdict"] == "within"
    assert answer["a"]["size"] == (user.root / MODELS[0]).stat().st_size
    beside = json.loads(user.said(COMPARED["elsewhere"]))
    assert (beside["verdict"], beside["arms"]) == ("within", "a process an arm")
    # without VNNI, sums of products overflow, and some 16 dB are left
    assert 12 < beside["signal_to_noise"]["scores"] < 60, "int8 beside the baseline"


def test_the_report_judges_them(user: User) -> None:
    user.said("report")
    verdict = user.json("reports/verdict.json")
    assert verdict["ship"] in ("snapped", "half")
    about = {(rule["variant"], rule["metric"]): rule["verdict"] for rule in verdict["rules"]}
    assert about["snapped", "latency_p50"] == "pass"
    report = (user.root / "reports" / "report.md").read_text()
    assert "snap" in report
    assert "pocket" in report
    assert "pass" in user.said("gate")


def test_a_device_that_is_gone_is_told_and_passes_nothing(user: User) -> None:
    user.folder.rename(user.folder.with_suffix(".away"))
    try:
        (ended,) = user.in_turn("benchmark half --device drawer").values()
    finally:
        user.folder.with_suffix(".away").rename(user.folder)
    assert ended[0] == 4
    assert "the drawer is shut" in ended[1]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_is_wrong_with_its_parts_is_told_when_the_file_is_read(user: User, mistake: str) -> None:
    *_, told = MISTAKES[mistake]
    assert told in user.said(f"report --project {mistake.replace(' ', '-')}", code=2)
