"""`makeweight --help` beside a bare interpreter: what our imports cost before anything is done. Target: under 0.3 s."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 15
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "makeweight --help": [sys.executable, "-m", "makeweight", "--help"],
}


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(RUNS):
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        print(f"{name:20} {median * 1000:6.0f} ms (median of {RUNS}, interleaved)")
    bare, own = medians.values()
    print(f"help: {own / bare:.1f}x a bare interpreter, {own:.3f} s (target: under 0.3 s)")


if __name__ == "__main__":
    main()
