"""What a controller takes while nothing happens: a canary that does well, looked at every five seconds, the default.

Targets: under 60 MB resident, and 1 % of a core.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import project
import requests

from makeweight_monitors import program
from makeweight_monitors.prometheus import throwaway
from makeweight_monitors.serving.pointer import Pointer, Served

STABLE = Served("digits", "baseline", "r1", "0" * 64, "a", 0.8, 0)
CANARY = Served("digits", "int8", "r2", "1" * 64, "b", 0.2, 0)
MOST_MB, MOST_CORE = 60.0, 0.01
LOOKS = 3
"""Before it is at rest."""
_TICK = os.sysconf("SC_CLK_TCK")


def processor_seconds(pid: int) -> float:
    parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / _TICK


def megabytes(pid: int, file: str, of: str) -> float:
    lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{of}:")) * 1024 / 1e6


def looks(port: int) -> float:
    """How many there were that saw something."""
    try:
        told = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
    except requests.RequestException:
        return 0.0
    rows = (line.rpartition(" ") for line in told.splitlines() if line.startswith("makeweight_rollback_looks_total"))
    return sum(float(value) for name, _, value in rows if 'outcome="failed"' not in name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, port = Path(temporary), program.free_port()
        rules = project.write(folder, Pointer(STABLE, CANARY))
        with throwaway.running(throwaway.find(), folder / "prometheus", rules=[rules]) as client:
            command = project.controller(folder, client.url, port)
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                while looks(port) < LOOKS:
                    if process.poll() is not None:
                        raise SystemExit(f"the controller ended by itself, with {process.returncode}")
                    time.sleep(1)
                before, began = processor_seconds(process.pid), time.monotonic()
                time.sleep(options.seconds)
                core = (processor_seconds(process.pid) - before) / (time.monotonic() - began)
                resident = megabytes(process.pid, "status", "VmRSS")
                proportional = megabytes(process.pid, "smaps_rollup", "Pss")
            finally:
                process.kill()
                process.wait()
    print(json.dumps({"resident_mb": round(resident, 1), "pss_mb": round(proportional, 1), "core": round(core, 4)}))
    return 0 if resident < MOST_MB and core < MOST_CORE else 1


if __name__ == "__main__":
    raise SystemExit(main())
