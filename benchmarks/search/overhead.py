"""What a search costs besides its trials: of its seconds by the clock on the wall, those in which nothing was made or
measured. Target: under 2 %.

    python benchmarks/search/overhead.py PROJECT [--trials N]

PROJECT is a folder with a baseline, such as `make demo` leaves in build/demo; the search runs on a copy of it, one
trial after the other.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from workers import copied

TARGET = 0.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("project", type=Path, help="a project with a baseline")
    parser.add_argument("--trials", type=int, default=12)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="makeweight-search-") as folder:
        project = copied(options.project, Path(folder, "project"), SPACE, BUDGET)
        command = [sys.executable, "-m", "makeweight", "search", "--json", "--trials", str(options.trials)]
        began = time.monotonic()
        done = subprocess.run(command, cwd=project, stdout=subprocess.PIPE, text=True, check=False)
        whole = time.monotonic() - began
        told = json.loads(done.stdout)
    busy = sum(trial["seconds"] for trial in told["trials"])
    share = (whole - busy) / whole
    kept = "kept  " if share < TARGET else "BROKEN"
    print(
        f"{kept} {told['tried']} trials took {busy:.1f} s of {whole:.1f} s: {share:.1%} besides (target {TARGET:.0%})"
    )


SPACE = {
    "numbers": {
        "steps": [
            [
                {"prune": {"ratio": {"from": 0.2, "to": 0.6}, "epochs": [0, 1]}},
                {"factorize": {"energy": {"from": 0.8, "to": 0.99}}},
            ],
            {"quantize": {"method": "static", "calibrate": ["minmax", "mse", "percentile", "entropy"]}},
        ]
    }
}
# Nothing passes, so that all trials are made.
BUDGET = {"size": {"max_ratio": 0.001}, "accuracy": {"max_drop": "1 pt"}, "latency_p50": {"max_ratio": 0.5}}


if __name__ == "__main__":
    main()
