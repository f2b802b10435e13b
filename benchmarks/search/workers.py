"""Two workers of a Ray cluster beside one, on trials that need nothing but a processor. Target: 1.7 times as fast.

    python benchmarks/search/workers.py PROJECT [--trials N]

PROJECT is a folder with a baseline, such as `make demo` leaves in build/demo. The cluster is one of this machine's,
with two processors, and is stopped afterwards. Each search runs on a copy of the project.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from clusters import running

TARGET = 1.7
# After training, by calibration examples, layer by layer: a core is busy with one, whatever number there are.
SPACE = {
    "numbers": {
        "steps": [
            {
                "quantize": {
                    "method": "static",
                    "calibrate": ["minmax", "mse", "percentile", "entropy"],
                    "per_channel": [True, False],
                    "correct_bias": [True, False],
                    "equalize": [True, False],
                }
            }
        ]
    }
}
# Nothing passes, so that all trials are made; no device is asked, for it measures one model at a time.
BUDGET = {"size": {"max_ratio": 0.001}, "accuracy": {"max_drop": "1 pt"}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("project", type=Path, help="a project with a baseline")
    parser.add_argument("--trials", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="makeweight-search-") as folder, running(2) as address:
        taken = {}
        for workers in (1, 2):
            project = copied(options.project, Path(folder, str(workers)), SPACE, BUDGET)
            taken[workers] = seconds(project, address, workers, options.trials)
    ratio = taken[1] / taken[2]
    kept = "kept  " if ratio >= TARGET else "BROKEN"
    print(
        f"{kept} {options.trials} trials took {taken[1]:.1f} s with one worker and {taken[2]:.1f} s with two: "
        f"{ratio:.2f} times as fast (target {TARGET})"
    )


def copied(project: Path, folder: Path, space: Mapping[str, Any], budget: Mapping[str, Any]) -> Path:
    """A project with another space and budget, and nothing searched yet."""
    shutil.copytree(
        project, folder, ignore=shutil.ignore_patterns(".makeweight", ".dvc", ".git", "dvc.yaml", "dvc.lock")
    )
    config = yaml.safe_load((folder / "makeweight.yaml").read_text())
    config |= {"search": {"recipes": dict(space)}, "budget": dict(budget)}
    (folder / "makeweight.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return folder


def seconds(project: Path, address: str, workers: int, trials: int) -> float:
    """From the first trial's begin to the last one's end, as the files of the trials tell."""
    command = [sys.executable, "-m", "makeweight", "search", "--json", "--ray", address]
    command += ["--workers", str(workers), "--trials", str(trials)]
    done = subprocess.run(command, cwd=project, stdout=subprocess.PIPE, text=True, check=False)
    told = json.loads(done.stdout)
    assert told["tried"] == trials, told["sentence"]
    (study,) = (path.parent for path in project.glob(".makeweight/search/*/answers.npz"))
    began = min(path.stat().st_mtime for path in study.glob("trial-*/proposal.json"))
    return max(path.stat().st_mtime for path in study.glob("trial-*/trial.json")) - began


if __name__ == "__main__":
    main()
