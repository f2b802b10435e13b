"""The plots of dvc.yaml, drawn by DVC itself from the files that the report writes."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from makeweight.decide.verdict import VariantVerdict, Verdict
from makeweight.measurement import Measurement
from makeweight.report import dvcplots
from makeweight.report.content import ClassFigure, Content


def _content(quality: str, classes: tuple[ClassFigure, ...]) -> Content:
    measurements = [
        Measurement("size", "baseline", "B", 1_920_000.0),
        Measurement("size", "int8", "B", 510_000.0),
        Measurement(quality, "baseline", "fraction", 0.986),
        Measurement(quality, "int8", "fraction", 0.983),
        Measurement("latency_p50", "baseline", "s", 412e-6, device="local"),
        Measurement("latency_p50", "int8", "s", 171e-6, device="local"),
    ]
    verdict = Verdict(
        "pass",
        "`int8` ships.",
        "int8",
        "best",
        "latency",
        "digits",
        [VariantVerdict("int8", "pass", True, "passes")],
        [],
        [asdict(each) for each in measurements],
    )
    return Content(verdict, classes={"int8": classes} if classes else {})


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, preloaded_commands: Path) -> Path:
    root = tmp_path_factory.mktemp("plots")
    _run(root, "git", "init", "--quiet")
    _run(root, str(preloaded_commands / "dvc"), "init", "--quiet")
    return root


def _run(root: Path, *command: str) -> str:
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def _shown(root: Path, dvc: Path, content: Content, plots: list[dict[str, Any]]) -> dict[str, Any]:
    """What `dvc plots show` makes of it: the Vega specification of every plot."""
    (root / "reports/plots").mkdir(parents=True, exist_ok=True)
    for name, text in dvcplots.files(content).items():
        (root / "reports/plots" / name).write_text(text)
    (root / "dvc.yaml").write_text(yaml.safe_dump({"plots": plots}, sort_keys=False))
    told = json.loads(_run(root, str(dvc), "plots", "show", "--json"))
    assert "errors" not in told
    return {
        name.removeprefix("dvc.yaml::"): drawn[0]["content"] if drawn else {} for name, drawn in told["data"].items()
    }


def test_dvc_draws_every_plot(repository: Path, preloaded_commands: Path):
    classes = (ClassFigure("0", 60, 1.0, 0.98), ClassFigure("1", 60, 0.97, 0.98))
    drawn = _shown(repository, preloaded_commands / "dvc", _content("accuracy", classes), dvcplots.definitions())
    assert list(drawn) == ["accuracy against size", "accuracy against latency", "latency", "drop by class"]
    size = drawn["accuracy against size"]
    assert size["encoding"]["x"] == {"field": "size_kb", "type": "quantitative", "title": "size, kB"}
    assert [(row["variant"], row["size_kb"], row["accuracy"]) for row in size["data"]["values"]] == [
        ("baseline", 1920.0, 0.986),
        ("int8", 510.0, 0.983),
    ]
    assert [float(row["ms"]) for row in drawn["latency"]["data"]["values"]] == [0.412, 0.171]
    assert [row["series"] for row in drawn["drop by class"]["data"]["values"]] == ["int8, 0", "int8, 1"]


def test_a_task_without_classes_draws_the_others(repository: Path, preloaded_commands: Path):
    drawn = _shown(repository, preloaded_commands / "dvc", _content("rmse", ()), dvcplots.definitions("rmse"))
    assert drawn["rmse against size"]["data"]["values"][0]["rmse"] == 0.986
    assert not drawn.get("drop by class")
