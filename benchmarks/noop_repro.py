"""`dvc repro` with nothing changed, on our pipeline and on the same one without its always-run stage. Target: 2.0x.

Our pipeline asks the device anew each time who it is; a bare no-op run only compares hashes. Both run here, one after
the other, on the same files. What the other stages write is made up, because nothing of it is run again.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from makeweight.layout import Layout
from makeweight.pipeline import plots
from makeweight.pipeline.merge import merge
from makeweight.project import reading

RUNS = 7
CONFIG = """\
name: net
model: {onnx: net.onnx}
sources: [code.py]
data: {npz: {test: test.npz, calibration: test.npz}}
task: classification
seed: 0
variants:
  half: {steps: [float16]}
  int8: {steps: [quantize]}
  int8-entropy: {steps: [{quantize: {calibrate: entropy}}]}
  int8-tensor: {steps: [{quantize: {per_channel: false}}]}
  int8-dynamic: {steps: [{quantize: {method: dynamic}}]}
devices:
  local: {kind: local}
budget:
  size: {max_ratio: 0.5}
"""
# Stands on the PATH in the first run only: makes the outputs up, and leaves `device` to the real one.
STAND_IN = """\
#!/bin/sh
put() { mkdir -p "$(dirname "$1")"; echo "{}" > "$1"; }
case $1 in
baseline) put artifacts/baseline/m; put samples/baseline/evaluate.npz
  put reports/baseline/evaluate.json; put reports/baseline/reference.json;;
compress) put artifacts/$2/m;;
evaluate) put samples/$2/evaluate.npz; put samples/$2/flips/flips.json
  put reports/$2/evaluate.json; put reports/$2/reference.json;;
device) exec "$PYTHON" -m makeweight device "$2";;
benchmark) put samples/$2/$4.npz; put reports/$2/$4.json;;
report) for file in verdict.json report.md report.html plots/pareto.json; do put reports/$file; done;;
esac
"""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="makeweight-noop-") as folder:
        ours, bare = Path(folder, "ours"), Path(folder, "bare")
        tools = Path(folder, "tools")
        _make(ours, tools)
        shutil.copytree(ours, bare)
        pipeline = Layout(bare).pipeline
        pipeline.write_text(pipeline.read_text().replace("      always_changed: true\n", ""))
        assert _repro(bare).stdout.count("didn't change, skipping") == _repro(ours).stdout.count("skipping") + 1
        times: dict[Path, list[float]] = {bare: [], ours: []}
        for _ in range(RUNS):
            for repository, taken in times.items():
                start = time.perf_counter()
                _repro(repository)
                taken.append(time.perf_counter() - start)
    medians = {repository.name: statistics.median(taken) for repository, taken in times.items()}
    for name, median in medians.items():
        print(f"{name:5} {median:6.2f} s (median of {RUNS}, interleaved)")
    print(f"no-op dvc repro: {medians['ours'] / medians['bare']:.2f}x a bare one (target: at most 2.0x)")


def _make(folder: Path, tools: Path) -> None:
    """A repository in which every stage has run once."""
    folder.mkdir()
    tools.mkdir()
    command = tools / "makeweight"
    command.write_text(STAND_IN)
    command.chmod(0o755)
    (folder / "makeweight.yaml").write_text(CONFIG)
    for name in ("net.onnx", "code.py", "test.npz"):
        (folder / name).write_text(name)
    loaded = reading.load(folder)
    Layout(folder).pipeline.write_text(merge(None, loaded, plots.drawn(loaded))[0])
    (folder / ".gitignore").write_text("/artifacts/\n/samples/\n")
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], cwd=folder, check=True)
    _repro(folder, tools)


def _repro(folder: Path, tools: Path | None = None) -> subprocess.CompletedProcess[str]:
    here = [str(tools)] if tools else []
    path = os.pathsep.join([*here, str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHON": sys.executable, "DVC_NO_ANALYTICS": "1"}
    command = [sys.executable, "-m", "dvc", "repro"]
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)


if __name__ == "__main__":
    main()
