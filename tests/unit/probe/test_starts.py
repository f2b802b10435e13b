"""Cold starts whose process ends before its time."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

import timing_programs
from makeweight_probe import ProbeFailed, starts
from makeweight_probe.job import Model, StartsJob


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("kill -9 $$", "signal 9: it said nothing"),
        ("echo 'no memory' >&2; exit 3", "exit code 3: no memory"),
        ("cat >/dev/null; echo 12 and more; echo gone >&2", "exit code 0: gone"),
        ("cat >/dev/null; printf '\\377\\n'", "exit code 0: it said nothing"),
    ],
    ids=["killed", "failed", "garbage", "no-text"],
)
def test_a_launch_that_does_not_answer_is_told_by_how_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    monkeypatch.setattr(sys, "executable", timing_programs.program(tmp_path / "python", script))
    model = Model("onnxruntime", "m.onnx", 1)
    with pytest.raises(ProbeFailed, match=f"^a launch ended with {said}$"):
        starts.measure(StartsJob(model, model, "inputs.npz", 2, 0.01, (), 1))


def test_what_a_runtime_prints_is_no_time() -> None:
    """Past Python, and when the process has said all that it had to say."""
    script = (
        "import atexit, os; from makeweight_probe import starts\n"
        "def start(*_):\n"
        "    os.write(1, b'loading 7 kernels')\n"
        "    return 42\n"
        "starts.start = start\n"
        "atexit.register(os.write, 1, b'13 left')\n"
        "starts.main()\n"
    )
    asked = json.dumps({"model": asdict(Model("onnxruntime", "m.onnx", 1)), "inputs": "inputs.npz"})
    done = subprocess.run([sys.executable, "-c", script], input=asked, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("42\n", "loading 7 kernels13 left")
