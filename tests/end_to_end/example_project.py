"""A project of examples/, copied beside data of a test's own, trained and judged by the verbs that a user types."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import probing
from makeweight.cli import main
from makeweight.measurement import Measurement, loads

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(example: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *, variant: str, epochs: int) -> None:
    """Everything up to the report, of one variant, in a folder that has the data; all but training in this process."""
    for file in (EXAMPLES / example).glob("*.py"):
        shutil.copy(file, folder)
    config = yaml.safe_load((EXAMPLES / example / "makeweight.yaml").read_text())
    config["variants"] = {variant: config["variants"][variant]}
    config["devices"]["local"] |= {"processes": 1, "seconds": 0.3}
    (folder / "makeweight.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    # training is nothing that makeweight may see run: no `sources` cover it
    subprocess.run([sys.executable, "train.py", "--epochs", str(epochs)], check=True)
    with probing.here():
        for verb in (
            ["baseline"],
            ["compress", variant],
            ["evaluate", variant],
            ["device", "local"],
            ["benchmark", variant, "--device", "local"],
            ["report"],
        ):
            assert main(verb) == 0, verb


def measured(file: Path) -> dict[str, Measurement]:
    """The figures of a file in reports/, by name."""
    return {figure.measurand.name: figure for figure in loads(file.read_text(), file.name)}
