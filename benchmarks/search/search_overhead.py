"""What a search costs besides its trials: of its seconds by the clock on the wall, those in which nothing was made or
measured. Target: under 2 %, where trials train as those do for which one searches. Recipes after training take seconds,
so of them the seconds count that come to each.

    python benchmarks/search/search_overhead.py PROJECT [--trials N] [--trained N] [--epochs N]

PROJECT is a folder with a baseline, such as `make demo` leaves in build/demo; the searches run on copies of it, one
trial after the other. The second one trains each recipe for that many epochs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workers import copied

TARGET = 0.02
CHANGED = [
    {"prune": {"ratio": {"from": 0.2, "to": 0.6}, "epochs": [0, 1]}},
    {"factorize": {"energy": {"from": 0.8, "to": 0.99}}},
]
NUMBERS = {"quantize": {"method": "static", "calibrate": ["minmax", "mse", "percentile", "entropy"]}}
# Nothing passes, so that all trials are made.
BUDGET = {"size": {"max_ratio": 0.001}, "accuracy": {"max_drop": "1 pt"}, "latency_p50": {"max_ratio": 0.5}}
# No rule that an untrained form breaks, so that all are trained.
BUDGET_TRAINED = {"accuracy": {"min": "100 %"}, "latency_p50": {"max_ratio": "10x"}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("project", type=Path, help="a project with a baseline")
    parser.add_argument("--trials", type=int, default=12, help="of recipes that train little or nothing")
    parser.add_argument("--trained", type=int, default=4, help="of recipes that train")
    parser.add_argument("--epochs", type=int, default=100, help="for which these train")
    options = parser.parse_args()
    spent(options.project, [CHANGED, NUMBERS], BUDGET, options.trials, None)
    trained = {"finetune": {"epochs": options.epochs, "lr": {"from": 0.0005, "to": 0.002}}}
    spent(options.project, [CHANGED, trained, NUMBERS], BUDGET_TRAINED, options.trained, TARGET)


def spent(project: Path, steps: list[Any], budget: Mapping[str, Any], trials: int, target: float | None) -> None:
    """Search, and tell how long trials were and what came besides."""
    with tempfile.TemporaryDirectory(prefix="makeweight-search-") as folder:
        place = copied(project, Path(folder, "project"), {"numbers": {"steps": steps}}, budget)
        command = [sys.executable, "-m", "makeweight", "search", "--json", "--trials", str(trials)]
        began = time.monotonic()
        done = subprocess.run(command, cwd=place, stdout=subprocess.PIPE, text=True, check=False)
        whole = time.monotonic() - began
    told = json.loads(done.stdout)
    tried, busy = told["tried"], sum(trial["seconds"] for trial in told["trials"])
    besides = whole - busy
    kept = "      " if target is None else "kept  " if besides / whole < target else "BROKEN"
    held = "" if target is None else f" (target {target:.0%})"
    print(
        f"{kept} {tried} trials of {busy / tried:.1f} s: {besides / tried:.2f} s besides each, {besides / whole:.1%} "
        f"of {whole:.1f} s{held}",
        flush=True,
    )


if __name__ == "__main__":
    main()
