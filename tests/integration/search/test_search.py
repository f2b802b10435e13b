"""`makeweight search` on a small model file: what it tries, writes down, takes up again and cannot find."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
import yaml

from makeweight.artifact import artifact
from makeweight.cli import main
from makeweight.compress import trial
from makeweight.compress.make import make
from makeweight.project import reading
from makeweight.search.executor import Done, Job
from makeweight.search.work import carry_out
from makeweight.verbs import search as verb
from makeweight_base.progress import Silent
from makeweight_probe.alone import LOCK

pytestmark = pytest.mark.usefixtures("probed_here")

CONFIG = """\
# mine
name: tiny
model: {onnx: model.onnx}
data: {npz: {train: train.npz, validation: validation.npz, test: test.npz}}
variants:
  half:
    steps: [float16]  # as it was
budget:
  size: {max_ratio: 0.4}
  accuracy: {max_drop: 20 pt}
search:
  trials: 4
  recipes:
    numbers:
      steps: [[float16, {quantize: {method: [static, dynamic], per_channel: [true, false]}}]]
"""

VALIDATION = 36


class Here:
    """Carries jobs out in this process, as it is asked."""

    slots = 1
    shares_machine = True

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def submit(self, job: Job) -> None:
        self.jobs.append(job)

    def wait(self, seconds: float) -> list[Done]:
        jobs, self.jobs = self.jobs, []
        # jobs are plain data, wherever they go, and there another folder may be the current one
        assert all(
            Path(job[key]).is_absolute() for job in jobs for key in ("root", "folder", "answers", "pool", "lock")
        )
        return [Done(job, json.loads(json.dumps(carry_out(json.loads(json.dumps(job)), quiet=False)))) for job in jobs]

    def close(self) -> None:
        self.jobs = []


@pytest.fixture(scope="module")
def baseline(probed_here: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with its baseline made."""
    folder = tmp_path_factory.mktemp("searched")
    tiny_models.dense(folder / "model.onnx", width=64)
    rng = np.random.default_rng(1)
    for split, count in (("train", 40), ("validation", VALIDATION), ("test", 40)):
        inputs = rng.normal(size=(count, tiny_models.FEATURES)).astype(np.float32)
        np.savez(folder / f"{split}.npz", x=inputs, target=rng.integers(0, tiny_models.CLASSES, count))
    (folder / "makeweight.yaml").write_text(CONFIG)
    assert main(["baseline", "--project", str(folder)]) == 0
    return folder


@pytest.fixture
def project(baseline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(verb, "Processes", lambda _: Here())
    monkeypatch.setenv(LOCK, str(tmp_path / "measuring.lock"))
    folder = tmp_path / "project"
    shutil.copytree(baseline, folder)
    return folder


def run(project: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str, str]:
    capsys.readouterr()
    with contextlib.chdir(project):
        code = main(["search", *more])
    said = capsys.readouterr()
    return code, said.out, said.err


def report(project: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((project / "reports/search/search.json").read_text())
    return told


def test_the_best_is_written_down_and_a_search_is_taken_up_again(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = project / "makeweight.yaml"
    code, out, err = run(project, capsys)
    assert code == 0, err
    assert "`found-1`" in out
    told = report(project)
    tried = [json.dumps(trial["proposal"]["settings"], sort_keys=True) for trial in told["trials"]]
    assert len(set(tried)) == len(tried)
    (winner,) = told["winners"]
    assert all(each["verdict"] == "pass" for each in told["trials"] if each["number"] == winner["trial"])
    # what was the user's is there to the byte
    text = config.read_text()
    added = [line for line in text.splitlines() if line not in CONFIG.splitlines()]
    kept = [line for line in text.splitlines() if line not in added]
    assert kept == CONFIG.splitlines()
    assert yaml.safe_load(text)["variants"]["found-1"] == {"steps": winner["settings"]["steps"]}
    page = (project / "reports/search/search.html").read_text()
    assert "found-1" in page
    assert "<svg" in page
    # only the validation split was looked at, and what it is of is told
    assert told["split"] == "validation"
    figures = [figure for trial in told["trials"] for figure in trial["figures"]]
    assert {figure["samples"] for figure in figures if figure["metric"] == "accuracy"} == {VALIDATION}

    # nothing is left to do: the same again, and no variant a second time
    code, out, _ = run(project, capsys)
    assert code == 0
    assert "stood in makeweight.yaml already" in out
    assert report(project)["trials"] == told["trials"]
    assert config.read_text() == text
    # nor is less asked for than is known
    tried = len(told["trials"])
    assert f"{tried} of {tried} trials" in run(project, capsys, "--trials", "1")[1]


def test_a_trial_that_was_cut_off_is_tried_again_as_it_was_proposed(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "makeweight.yaml").write_text(CONFIG.replace("0.4", "0.05"))
    code, out, _ = run(project, capsys, "--trials", "3")
    assert code == 1
    assert "no variant passes every rule; nearest is `trial-" in out
    assert "breaks size.max_ratio" in out
    first = report(project)
    assert first["winners"] == []
    (last,) = project.glob(".makeweight/search/*/trial-3/trial.json")
    last.unlink()
    code, _, err = run(project, capsys, "--trials", "4")
    assert code == 1
    assert "2 trials of this search are known already" in err
    again = report(project)
    assert [t["proposal"] for t in again["trials"][:3]] == [t["proposal"] for t in first["trials"]]
    assert len(again["trials"]) == 4
    assert "found-1" not in (project / "makeweight.yaml").read_text()


def test_two_searches_do_not_share_a_project(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with verb._alone(project / ".makeweight/search"):
        code, _, err = run(project, capsys)
    assert code == 2
    assert "another search is at work in this project" in err


def test_with_another_version_of_what_runs_the_models_it_is_another_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = reading.understand(CONFIG, "makeweight.yaml", tmp_path)
    before = verb._study(own, own.spaces, "the same")
    asked: list[str] = []

    def newer(packages: Any) -> dict[str, str]:
        asked.extend(packages)
        return {"onnxruntime": "99"}

    monkeypatch.setattr(verb, "versions", newer)
    assert verb._study(own, own.spaces, "the same") != before
    assert {"onnx", "onnxruntime"} <= {*asked}


def test_without_a_validation_split_it_says_so(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "makeweight.yaml").write_text(CONFIG.replace("validation: validation.npz, ", ""))
    code, _, err = run(project, capsys)
    assert code == 2
    assert "validation" in err
    assert "The test split is the gate's alone" in err


def test_a_machine_that_fails_ends_the_search_and_loses_nothing(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(Here):
        def wait(self, seconds: float) -> list[Done]:
            return [Done(job, {"failure": "could not write: no space left"}) for job in self.jobs]

    monkeypatch.setattr(verb, "Processes", lambda _: Full())
    code, _, err = run(project, capsys)
    assert code == 4
    assert "no space left" in err
    monkeypatch.setattr(verb, "Processes", lambda _: Here())
    assert run(project, capsys)[0] == 0


@pytest.mark.parametrize(
    "budget",
    [
        pytest.param("size: {max_ratio: 0.4, level: warn}", id="warnings"),
        pytest.param("size: {max_regression: 5 %}", id="growth"),
        pytest.param("latency_p50: {max_ratio: 0.8}", id="elsewhere"),
    ],
)
def test_a_budget_that_any_recipe_meets_is_none_to_search_by(
    project: Path, capsys: pytest.CaptureFixture[str], budget: str
) -> None:
    before, rest = CONFIG.split("  size: {max_ratio: 0.4}\n  accuracy: {max_drop: 20 pt}\n")
    device = "devices: {away: {kind: local, runner: lab}}\n"
    (project / "makeweight.yaml").write_text(f"{before}  {budget}\n{device}{rest}")
    trained = project / ".makeweight/search/trainings/with-other-code"
    trained.mkdir(parents=True)
    code, _, err = run(project, capsys)
    assert code == 2
    assert "no rule of the budget tells recipes apart here" in err
    assert trained.is_dir(), "what a search would begin without is dropped by one that begins"


def test_an_empty_space_is_told_with_its_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "makeweight.yaml").write_text(CONFIG[: CONFIG.index("  recipes:")] + "  recipes: {}\n")
    code, _, err = run(project, capsys)
    assert code == 2
    assert "makeweight.yaml:13: search.recipes: at least one entry" in err


def test_validation_targets_beyond_the_models_classes_are_refused(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = dict(np.load(project / "validation.npz"))
    np.savez(project / "validation.npz", x=held["x"], target=held["target"] + tiny_models.CLASSES)
    code, _, err = run(project, capsys)
    assert code == 2
    assert f"the validation split: target {2 * tiny_models.CLASSES - 1} is beyond the model's" in err


class Meanwhile(Here):
    """Something happens to the project before each job, and is undone after it."""

    def __init__(self, project: Path, name: str, content: str | None) -> None:
        super().__init__()
        self._path, self._content = project / name, content

    def wait(self, seconds: float) -> list[Done]:
        aside = self._path.with_name("aside")
        self._path.rename(aside)
        if self._content is not None:
            self._path.write_text(self._content)
        try:
            return super().wait(seconds)
        finally:
            self._path.unlink(missing_ok=True)
            aside.rename(self._path)


def test_whoever_edits_makeweight_yaml_meanwhile_spoils_no_trial(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "Processes", lambda _: Meanwhile(project, "makeweight.yaml", "name: [half"))
    code, _, err = run(project, capsys, "--trials", "1")
    assert [trial["ended"] for trial in report(project)["trials"]] == ["whole"], err
    assert code in (0, 1)


def test_a_makeweight_yaml_that_is_broken_by_the_end_loses_no_trial(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = project / "makeweight.yaml"

    class Editing(Here):
        def wait(self, seconds: float) -> list[Done]:
            config.write_text(CONFIG.replace("steps: [float16]", "steps: [float17]"))
            return super().wait(seconds)

    monkeypatch.setattr(verb, "Processes", lambda _: Editing())
    code, _, err = run(project, capsys)
    assert code == 2
    assert "float17" in err
    assert "the search goes on from here" in err
    config.write_text(CONFIG)
    known = len([*project.glob(".makeweight/search/*/trial-*/trial.json")])
    monkeypatch.setattr(verb, "Processes", lambda _: Here())
    code, _, err = run(project, capsys)
    assert (code, known > 0) == (0, True)
    assert f"{known} trial" in err


def test_noise_before_training_is_no_ground_to_refuse_a_form(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "FLOOR_DECIBELS", math.inf)
    own = reading.load(project)
    base = artifact.read(own.layout.artifact("baseline"))
    found = {}
    for untrained in (False, True):
        folder = tmp_path / str(untrained)
        folder.mkdir()
        made = make(own.variants["half"], own.declared, base, folder, Silent(), with_control=False, untrained=untrained)
        found[untrained] = made.status
    assert found == {False: "failed", True: "ready"}


def test_a_baseline_that_is_gone_meanwhile_is_no_trials_fault(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "Processes", lambda _: Meanwhile(project, "artifacts/baseline", None))
    code, _, err = run(project, capsys)
    assert code == 4
    assert "no trial can be carried out: " in err
    assert "the search goes on from here" in err
    assert not [*project.glob(".makeweight/search/*/trial-*/trial.json")]


def test_examples_that_change_meanwhile_end_the_search_with_the_first_trial(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Shuffled(Here):
        def wait(self, seconds: float) -> list[Done]:
            # another file, not another content: what was read of the one before may be mapped into memory
            shutil.copyfile(project / "test.npz", project / "other.npz")
            (project / "other.npz").replace(project / "validation.npz")
            return super().wait(seconds)

    monkeypatch.setattr(verb, "Processes", lambda _: Shuffled())
    code, _, err = run(project, capsys)
    assert code == 2
    assert "the loader gave other validation examples than it gave the baseline" in err


def test_a_baseline_of_another_model_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_models.dense(project / "model.onnx", width=32)
    code, _, err = run(project, capsys)
    assert code == 2
    assert "the baseline was made with another `model.onnx` than there is now" in err
    assert "dvc repro baseline" in err


def test_what_dvc_does_not_see_change_is_made_anew_by_force(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shared.py").touch()
    manifest = project / "artifacts/baseline" / artifact.MANIFEST
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "code": {"../shared.py": "0" * 64}}))
    code, _, err = run(project, capsys)
    assert code == 2
    assert "the baseline was made with another `../shared.py` than there is now" in err
    assert "run `dvc repro --force --single-item baseline`" in err


AROUND = """\
sources: [own_steps.py]
pipeline: {preprocess: "own_steps:decode", samples: raw}
devices: {here: {kind: local, processes: 1, seconds: 2}}
"""


def test_what_a_rule_asks_of_a_device_is_measured_with_the_pipeline_and_in_the_batch_that_there_is(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_models.dense(project / "model.onnx", width=64, batch=1)
    (project / "own_steps.py").write_text(
        "import numpy as np\ndef decode(sample):\n    return np.frombuffer(sample, np.float32)\n"
    )
    (project / "raw").mkdir()
    for number in range(3):
        row = np.full(tiny_models.FEATURES, number, np.float32)
        (project / f"raw/{number}.bin").write_bytes(row.tobytes())
    rules = "budget:\n  end_to_end_latency_p50: {max_ratio: 50x}\n  throughput: {min: 0.001 /s, level: warn}\n"
    space = "search:\n  trials: 1\n  recipes:\n    half: {steps: [float16]}\n"
    (project / "makeweight.yaml").write_text(CONFIG[: CONFIG.index("budget:")] + AROUND + rules + space)
    assert main(["baseline", "--project", str(project)]) == 0
    code, _, err = run(project, capsys)
    assert code == 0, err
    (trial,) = report(project)["trials"]
    by_metric = {rule["metric"]: rule for rule in trial["rules"]}
    assert by_metric["end_to_end_latency_p50"]["verdict"] == "pass"
    assert by_metric["end_to_end_latency_p50"]["value"] > 0
    # as in a benchmark, for a model that takes one example at a time
    assert "one fixed batch" in by_metric["throughput"]["sentence"]


def test_the_page_says_which_way_a_metric_of_ones_own_is_better(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "own_metric_of_search.py").write_text(
        "def off(outputs, targets):\n    return abs(outputs['scores'].argmax(1) - targets)\n"
    )
    task = '{kind: custom, metric: "own_metric_of_search:off", better: lower}'
    config = CONFIG.replace("budget:\n", f"sources: [own_metric_of_search.py]\ntask: {task}\nbudget:\n")
    (project / "makeweight.yaml").write_text(config.replace("accuracy: {max_drop: 20 pt}", "metric: {max_drop: 5}"))
    assert main(["baseline", "--project", str(project)]) == 0
    code, _, err = run(project, capsys, "--trials", "1")
    assert code in (0, 1), err
    assert "Left is cheaper, down is better" in (project / "reports/search/search.html").read_text()
