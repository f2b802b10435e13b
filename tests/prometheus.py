"""The real Prometheus that tests run beside: Debian's, on the machine already or unpacked once into the build folder.

    programs = prometheus.install()                  # prometheus and promtool; skips, or fails in CI, without them
    programs.tool("check", "rules", str(path))       # promtool
    with throwaway.running(programs, tmp_path, rules=[path], targets={"job": ["127.0.0.1:9"]}) as client:
        client.query("up")                           # see makeweight_monitors/{throwaway,queries}.py
        prometheus.until(lambda: client.query("up == 0"))

Series of the past: `backfill(programs, folder, openmetrics)` before `running(programs, folder)`.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from makeweight_monitors import throwaway
from makeweight_monitors.throwaway import Programs

_BUILD = Path(__file__).resolve().parent.parent / "build" / "prometheus"
_SECONDS = 300
Found = TypeVar("Found")


@functools.cache
def install() -> Programs:
    """The programs on the PATH, else Debian's package, fetched by apt and only unpacked: no service is set up.

    Where apt cannot give it the test is skipped, and in CI it fails: there a part of the tests that silently does not
    run would look like one that passes.
    """
    if shutil.which("prometheus") and shutil.which("promtool"):
        return throwaway.find()
    programs = _BUILD / "usr" / "bin"
    if not (programs / "promtool").is_file():
        _unpack(_BUILD)
    return throwaway.find(programs)


def until(found: Callable[[], Found], seconds: float = 60, every: float = 0.1) -> Found:
    """What `found` returns as soon as that is something; the test fails when it never is."""
    end = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < end, f"not so after {seconds} s; the last answer was {answer!r}"
        time.sleep(every)
    return answer


def backfill(programs: Programs, folder: Path, openmetrics: str) -> None:
    """Put series with times into the data of a Prometheus that is then run in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "backfill.txt"
    source.write_text(openmetrics)
    done = programs.tool("tsdb", "create-blocks-from", "openmetrics", str(source), str(folder / "data"))
    assert done.returncode == 0, done.stdout


def _unpack(folder: Path) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        _lacking("prometheus is not installed, and there is no apt-get to fetch it with")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".prometheus.") as temporary:
        work = Path(temporary)
        if not _ran(["apt-get", "download", "prometheus"], work) and os.geteuid() == 0:
            _ran(["apt-get", "update", "--quiet"], work)
            _ran(["apt-get", "download", "prometheus"], work)
        packages = list(work.glob("prometheus_*.deb"))
        if not packages:
            _lacking("prometheus is not installed, and apt-get could not fetch it")
        unpacked = work / "unpacked"
        if not _ran(["dpkg", "-x", str(packages[0]), str(unpacked)], work):
            _lacking(f"{packages[0].name} could not be unpacked")
        # moved whole: an unpacking that was interrupted, or one of two at once, leaves nothing half-done
        shutil.rmtree(folder, ignore_errors=True)
        unpacked.rename(folder)


def _ran(command: list[str], folder: Path) -> bool:
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, timeout=_SECONDS).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _lacking(why: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)
