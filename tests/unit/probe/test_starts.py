"""Cold starts whose process ends before its time."""

import sys
from pathlib import Path

import pytest

import timing_programs
from makeweight_probe import ProbeFailed, starts
from makeweight_probe.job import Model, StartsJob


@pytest.mark.parametrize(
    ("script", "said"),
    [("kill -9 $$", "signal 9: it said nothing"), ("echo 'no memory' >&2; exit 3", "exit code 3: no memory")],
    ids=["killed", "failed"],
)
def test_a_launch_that_does_not_answer_is_told_by_how_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    monkeypatch.setattr(sys, "executable", timing_programs.program(tmp_path / "python", script))
    model = Model("onnxruntime", "m.onnx", 1)
    with pytest.raises(ProbeFailed, match=f"^a launch ended with {said}$"):
        starts.measure(StartsJob(model, model, "inputs.npz", 2, 0.01, (), 1))
