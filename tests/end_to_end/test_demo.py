"""The reference project from nothing to a verdict, and what changes when something changes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

import preloaded
from end_to_end.conftest import Shell, shell_in
from makeweight.measurement import loads

REPOSITORY = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shell(user_environment: dict[str, str], preloaded_for_modules: Path) -> Shell:
    return shell_in(preloaded.first(preloaded_for_modules, user_environment))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, shell) -> Path:
    """`make demo`, in a folder of its own: a reference model of six of its ten convolutions that trains for a quarter
    of the time, recipes that train for one epoch, and one process that measures.
    """
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("demo")
    for name in ("makeweight.yaml", "dvc.yaml", "constraints.txt", ".dvcignore"):
        shutil.copy(REPOSITORY / name, source)
    shutil.copytree(REPOSITORY / "examples", source / "examples")
    block = "        Residual(64),\n"
    _edit(source / "examples/digits/model.py", 3 * block, block)
    _edit(source / "examples/digits/train.py", "\nEPOCHS = 20\n", "\nEPOCHS = 5\n")
    _edit(source / "examples/digits/train.py", "\nTHREADS = min(2, os.cpu_count() or 1)\n", "\nTHREADS = 1\n")
    _edit(source / "makeweight.yaml", "rounds: 2\n          epochs: 2", "rounds: 1\n          epochs: 0")
    _edit(source / "makeweight.yaml", "epochs: 4", "epochs: 1")
    _edit(source / "makeweight.yaml", "    threads: 1\n", "    threads: 1\n    processes: 1\n")
    before = shell("git status --porcelain", REPOSITORY).stdout
    done = shell(f"bash {source}/examples/demo.sh {folder}", REPOSITORY)
    (folder / "demo.log").write_text(done.stdout)
    assert done.returncode == 0, done.stdout
    assert shell("git status --porcelain", REPOSITORY).stdout == before, "the demo touched the checkout"
    return folder


def _edit(file: Path, was: str, now: str) -> None:
    text = file.read_text()
    assert was in text
    file.write_text(text.replace(was, now))


def stages_run(output: str) -> set[str]:
    return set(re.findall(r"Running stage '([^']+)'", output))


def test_it_ships_a_variant_and_says_which(demo: Path) -> None:
    verdict = json.loads((demo / "reports/verdict.json").read_text())
    assert verdict["verdict"] == "pass"
    assert verdict["ship"] in {"int8", "slim", "fp16"}
    shown = (demo / "demo.log").read_text()
    assert re.search(rf"^\* +{verdict['ship']} ", shown, re.MULTILINE), shown
    assert str(demo / "reports/report.html") in shown


def test_the_shipped_variant_is_smaller_and_faster(demo: Path) -> None:
    verdict = json.loads((demo / "reports/verdict.json").read_text())
    ship = verdict["ship"]
    sizes = {m.measurand.name: m for m in loads((demo / f"reports/{ship}/evaluate.json").read_text(), "evaluate.json")}
    times = {m.measurand.name: m for m in loads((demo / f"reports/{ship}/local.json").read_text(), "local.json")}
    assert sizes["size_ratio"].value < 0.5
    ratio = times["latency_p50_ratio"]
    assert ratio.interval is not None
    assert ratio.interval[1] < 1


def test_every_report_is_there(demo: Path) -> None:
    verdict = json.loads((demo / "reports/verdict.json").read_text())
    page = (demo / "reports/report.html").read_text()
    assert "<svg" in page
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", page), "the page asks the network for something"
    assert (demo / "reports/report.md").read_text().startswith("### makeweight")
    assert f", {verdict['ship']}" in (demo / "reports/model-card.md").read_text().splitlines()[0]
    for reference in (demo / "reports").glob("*/reference.json"):
        assert sum(json.loads(reference.read_text())["confidence"]["count"]) == 500


def test_changing_nothing_runs_only_the_device_again(demo: Path, shell) -> None:
    again = shell("dvc repro", demo)
    assert again.returncode == 0, again.stdout
    assert stages_run(again.stdout) == {"device@local"}


def test_dvc_shows_metrics_and_plots(demo: Path, shell) -> None:
    metrics = shell("dvc metrics show --json", demo)
    assert metrics.returncode == 0, metrics.stdout
    assert json.loads(metrics.stdout)[""]["data"]["reports/int8/evaluate.json"]["data"]["accuracy"] > 0.9
    plots = shell("dvc plots show --json", demo)
    assert plots.returncode == 0, plots.stdout
    drawn = json.loads(plots.stdout)["data"]
    curves = {f"samples/slim/training/{told}.tsv" for told in ("training_loss", "validation_accuracy")}
    assert set(drawn) == {"accuracy against size", "accuracy against latency", "latency", "drop by class"} | curves


def test_one_variants_recipe_runs_that_variant_again(demo: Path, shell, tmp_path: Path) -> None:
    copy = tmp_path / "demo"
    shutil.copytree(demo, copy, symlinks=True)
    _edit(copy / "makeweight.yaml", "method: static", "method: static\n          calibrate: percentile")
    again = shell("dvc repro", copy)
    assert stages_run(again.stdout) - {"gate"} == {
        "ship",
        "device@local",
        "compress@int8",
        "evaluate@int8",
        "benchmark@local-int8",
        "report",
    }, again.stdout


def test_a_broken_budget_fails_the_pipeline_and_names_the_rule_last(demo: Path, shell, tmp_path: Path) -> None:
    copy = tmp_path / "demo"
    shutil.copytree(demo, copy, symlinks=True)
    _edit(copy / "makeweight.yaml", "max: 700 kB", "max: 1 kB")
    before = (copy / "reports/report.html").read_text()
    broken = shell("dvc repro", copy)
    assert broken.returncode != 0
    assert stages_run(broken.stdout) == {"device@local", "report", "gate"}
    assert (copy / "reports/report.html").read_text() != before
    lines = [line for line in broken.stdout.splitlines() if line.strip()]
    own = lines[: next(i for i, line in enumerate(lines) if line.startswith("ERROR:"))]
    assert "size" in own[-1].lower(), broken.stdout
    assert "1 kB" in own[-1], broken.stdout
    assert shell("makeweight gate", copy).returncode == 1


def test_an_interrupted_stage_leaves_no_half_file_and_the_next_run_goes_on(
    demo: Path, shell, user_environment, tmp_path: Path
) -> None:
    copy = tmp_path / "demo"
    shutil.copytree(demo, copy, symlinks=True)
    _edit(copy / "makeweight.yaml", "ratio: 0.75", "ratio: 0.5")
    _edit(copy / "makeweight.yaml", "epochs: 1", "epochs: 3")
    running = subprocess.Popen(
        ["dvc", "repro", "compress@slim"],
        cwd=copy,
        env=user_environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert running.stdout is not None
    for line in running.stdout:
        if "slim: prune" in line:
            break
    # into the training: of two epochs the first has been kept when the second is drawn
    drawn = copy / "samples/slim/training/training_loss.tsv"
    while running.poll() is None and not (drawn.exists() and drawn.read_text().count("\n") > 2):
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGINT)
    rest = running.stdout.read()
    assert running.wait(60) != 0
    assert "Traceback" not in rest, rest
    assert not (copy / "artifacts/slim/model.onnx").exists()
    assert not [path for path in (copy / "artifacts").iterdir() if path.name.endswith(".part")]
    again = shell("dvc repro compress@slim", copy)
    assert again.returncode == 0, again.stdout
    assert "finetune: taken up again after epoch" in again.stdout
    assert (copy / "artifacts/slim/model.onnx").exists()
