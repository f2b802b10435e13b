"""A runtime, a technique and a device of an installed package that makeweight knows nothing of, to the verdict."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
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
  latency_p50: {{max_ratio: 50, device: drawer}}
"""


IN_TURN = """
import sys
from makeweight.cli import main

for line in sys.argv[1:]:
    assert main(line.split()) == 0, line
"""


class User:
    """Somebody with the package installed beside makeweight, and a drawer that has it beside numpy alone."""

    def __init__(self, root: Path, environment: dict[str, str], folder: Path) -> None:
        self.root, self.folder = root, folder
        self._environment = environment

    def run(self, *arguments: str, code: int = 0) -> str:
        return self._python("-m", "makeweight", *arguments, code=code)

    def in_turn(self, *lines: str) -> None:
        """Verbs one after the other, in one process: each of its own would import torch anew."""
        self._python("-c", IN_TURN, *lines, code=0)

    def _python(self, *arguments: str, code: int) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def json(self, path: str) -> Any:
        return json.loads((self.root / path).read_text())


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory, user_environment: dict[str, str]) -> User:
    names = ("user", "wheel", "site", "machine", "drawer")
    root, built, site, machine, folder = (tmp_path_factory.mktemp(name) for name in names)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", built, PACKAGE], check=True)
    (wheel,) = built.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", site, wheel], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", machine], check=True)
    interpreter = machine / "bin" / "python"
    subprocess.run([*pip, "--python", interpreter, "install", wheel], check=True)
    for name, text in (("model.py", MODEL), ("data.py", DATA), ("train.py", TRAIN)):
        (root / name).write_text(text)
    config = CONFIG.format(features=FEATURES, folder=folder, interpreter=interpreter)
    (root / "makeweight.yaml").write_text(config)
    subprocess.run([sys.executable, "train.py"], cwd=root, check=True)
    made = User(root, {**user_environment, "PYTHONPATH": str(site)}, folder)
    variants = [f"{verb} {name}" for name in ("snapped", "half", "elsewhere") for verb in ("compress", "evaluate")]
    made.in_turn("baseline", *variants, "device drawer", "device here")
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
    told = user.run("benchmark", "snapped", "--device", "drawer")
    assert "the baseline's time" in told
    figures = user.json("reports/snapped/drawer.json")
    # rounded weights take as long as others
    assert 0.5 < figures["latency_p50_ratio"] < 2
    assert user.json("reports/devices/drawer.json")["identity"]["runtimes"].keys() == {"pocket"}
    assert list(user.folder.rglob("probe.zip")), "the probe was sent there"


def test_a_runtime_that_the_device_has_not_is_named(user: User) -> None:
    told = user.run("benchmark", "elsewhere", "--device", "drawer", code=4)
    assert "onnxruntime" in told
    assert "drawer" in told


def test_a_variant_on_another_runtime_is_held_against_the_baseline(user: User) -> None:
    """Both were run, each in its process: int8 is near the baseline, by the name that its output has there."""
    manifest = user.json("artifacts/elsewhere/manifest.json")
    assert [port["name"] for port in manifest["model"]["outputs"]] == ["scores"]
    assert manifest["trial"]["against"] == "baseline"
    assert 20 < manifest["trial"]["decibels"]["scores"] < 60


def test_two_runtimes_take_turns_in_processes_of_their_own(user: User) -> None:
    user.run("benchmark", "elsewhere", "--device", "here")
    assert user.json("reports/elsewhere/here.json")["latency_p50_ratio"] > 0


def test_compare_knows_its_files(user: User) -> None:
    base, half = (f"artifacts/{name}/model.pocket" for name in ("baseline", "half"))
    told = user.run("compare", base, half, "--seconds", "2", "--max-ratio", "50", "--json")
    answer = json.loads(told)
    assert answer["verdict"] == "within"
    assert answer["a"]["size"] == (user.root / base).stat().st_size
    mixed = user.run("compare", base, "artifacts/elsewhere/model.onnx", "--seconds", "2", "--max-ratio", "99", "--json")
    beside = json.loads(mixed)
    assert (beside["verdict"], beside["arms"]) == ("within", "a process an arm")
    # without VNNI, sums of products overflow, and some 16 dB are left
    assert 12 < beside["signal_to_noise"]["scores"] < 60, "int8 beside the baseline"


def test_the_report_judges_them(user: User) -> None:
    for variant in ("snapped", "half"):
        user.run("benchmark", variant, "--device", "drawer")
    user.run("report")
    verdict = user.json("reports/verdict.json")
    assert verdict["ship"] in ("snapped", "half")
    about = {(rule["variant"], rule["metric"]): rule["verdict"] for rule in verdict["rules"]}
    assert about["snapped", "latency_p50"] == "pass"
    report = (user.root / "reports" / "report.md").read_text()
    assert "snap" in report
    assert "pocket" in report
    assert "pass" in user.run("gate")


def test_a_device_that_is_gone_is_told_and_passes_nothing(user: User) -> None:
    user.folder.rename(user.folder.with_suffix(".away"))
    try:
        assert "the drawer is shut" in user.run("benchmark", "half", "--device", "drawer", code=4)
    finally:
        user.folder.with_suffix(".away").rename(user.folder)


Change = Callable[[str], str]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text.replace("grid: 0.125", "gird: 0.125"), "did you mean `grid`?"),
        (lambda text: text.replace("steps: [float16]", "steps: [quantize]"), "pocket offers float32 and float16"),
        (lambda text: text.replace("runtime: pocket", "runtime: pockt"), "did you mean `pocket`?"),
        (lambda text: text.replace("kind: drawer", "kind: drawr"), "did you mean `drawer`?"),
    ],
    ids=["option", "format that it does not offer", "runtime", "device"],
)
def test_what_is_wrong_with_its_parts_is_told_when_the_file_is_read(user: User, change: Change, told: str) -> None:
    path = user.root / "makeweight.yaml"
    text = path.read_text()
    path.write_text(change(text))
    try:
        assert told in user.run("report", code=2)
    finally:
        path.write_text(text)
