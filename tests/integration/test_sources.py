"""Code of the project's that runs and that `sources` does not name: the stage that ran it refuses."""

from __future__ import annotations

import itertools
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_models

from makeweight.cli import main

_NUMBERS = itertools.count()
CONFIG = """\
name: mine
model: {{onnx: model.onnx}}
sources: [{sources}]
data: {{load: "{name}.data:load"}}
task: "{name}_metric:score"
variants: {{small: {{steps: [{{quantize: {{method: dynamic}}}}]}}}}
budget: {{size: {{max: 1 MB}}}}
"""
DATA = """\
import numpy as np
from {name}_helper import COUNT
def load(split):
    return np.random.default_rng(0).standard_normal((COUNT, 8)).astype(np.float32), np.arange(COUNT) % 3
"""
METRIC = """\
def score(outputs, targets):
    from {name}_late import scale
    return (outputs['scores'].argmax(1) == targets) * scale
"""

Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write the configuration with these sources, where NAME stands for what the project's modules begin with."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    name = f"sourced_{next(_NUMBERS)}"
    tiny_models.dense(tmp_path / "model.onnx")
    (tmp_path / name).mkdir()
    for path, text in {
        f"{name}/__init__.py": "",
        f"{name}/data.py": DATA,
        f"{name}_helper.py": "COUNT = 24\n",
        f"{name}_metric.py": METRIC,
        f"{name}_late.py": "scale = 1.0\n",
    }.items():
        (tmp_path / path).write_text(text.format(name=name))

    def sources(listed: str) -> str:
        (tmp_path / "makeweight.yaml").write_text(CONFIG.format(name=name, sources=listed.replace("NAME", name)))
        return name

    return sources


def refused(capsys: pytest.CaptureFixture[str], verb: str = "baseline") -> str:
    capsys.readouterr()
    assert main(verb.split()) == 2
    return capsys.readouterr().err


def test_the_baseline_refuses_code_that_no_entry_covers(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = write("")
    told = refused(capsys)
    assert "error: makeweight.yaml: sources: code ran that no entry covers" in told
    assert f": {name}/__init__.py, {name}/data.py, {name}_helper.py\n" in told
    assert told.endswith(f"  - {name}/\n  - {name}_helper.py\n")
    write("NAME/, NAME_helper.py")
    assert f": {name}_late.py, {name}_metric.py\n" in refused(capsys), "what measures counts as well"
    assert not (tmp_path / "artifacts/baseline").exists()
    assert not (tmp_path / "reports").exists()
    write("NAME/, NAME_helper.py, NAME_late.py, ./NAME_metric.py")
    assert main(["baseline"]) == 0
    assert main(["compress", "small"]) == 0
    write("NAME/, NAME_helper.py, NAME_metric.py")
    assert f": {name}_late.py\n" in refused(capsys, "evaluate small")


def test_what_lies_in_an_environment_below_is_nobodys_source(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = write("NAME/, NAME_late.py, NAME_metric.py")
    installed = tmp_path / "env/lib/site-packages"
    installed.mkdir(parents=True)
    shutil.move(tmp_path / f"{name}_helper.py", installed)
    sys.path.append(str(installed))
    assert main(["baseline"]) == 0, capsys.readouterr().err
