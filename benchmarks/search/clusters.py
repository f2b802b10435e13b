"""A Ray cluster of this machine for a while, with a folder and a port of its own: one that runs here already is left
alone."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_PATIENCE = 120.0


@contextlib.contextmanager
def running(processors: int) -> Iterator[str]:
    """The address of a cluster with so many processors. It ends with the block."""
    ray = Path(sys.executable).parent / "ray"
    with tempfile.TemporaryDirectory(prefix="mw-ray-") as folder:
        start = [str(ray), "start", "--head", "--block", f"--num-cpus={processors}", "--port=0", f"--temp-dir={folder}"]
        process = subprocess.Popen(
            [*start, "--disable-usage-stats", "--include-dashboard=false"], stdout=subprocess.DEVNULL
        )
        try:
            yield _address(Path(folder, "ray_current_cluster"), process)
        finally:
            process.terminate()
            process.wait()


def _address(told: Path, process: subprocess.Popen[bytes]) -> str:
    """What Ray writes down once it is there."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        if told.exists() and (address := told.read_text().strip()):
            return address
        time.sleep(0.2)
    raise SystemExit("Ray did not start")
