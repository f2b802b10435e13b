"""The whole demo in an installed environment: train, compress, measure, judge, report. Target: under 3 minutes.

`make demo` is this after the environment has been made; what the downloads take depends on the network. The share that
each verb has of it is printed beside.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[1] / "examples/demo.sh"
TARGET = 3 * 60


def main() -> None:
    shares: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        began = last = time.perf_counter()
        stage = "start"
        running = subprocess.Popen(["bash", str(SCRIPT), folder], stdout=subprocess.PIPE, text=True)
        assert running.stdout is not None
        for line in running.stdout:
            if found := re.match(r"Running stage '([a-z]+)", line):
                now = time.perf_counter()
                shares[stage] = shares.get(stage, 0.0) + now - last
                stage, last = found[1], now
        code = running.wait()
        ended = time.perf_counter()
        shares[stage] = shares.get(stage, 0.0) + ended - last
    if code != 0:
        raise SystemExit(f"the demo ended with exit code {code}")
    total = ended - began
    for name, seconds in shares.items():
        print(f"{name:10} {seconds:6.1f} s  {seconds / total:4.0%}")
    print(f"demo: {total:.0f} s, {total / TARGET:.2f} of the target of {TARGET} s")


if __name__ == "__main__":
    main()
