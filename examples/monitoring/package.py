"""Debian's package of Prometheus, fetched by apt and only unpacked: no service is set up, and no rights are needed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from makeweight_base.errors import EnvironmentFailed
from makeweight_monitors.prometheus.throwaway import Programs, find

_SECONDS = 300


def programs(folder: Path) -> Programs:
    """The programs on the PATH, else those unpacked in `folder`, fetched when they are not there yet.

    Raises:
        EnvironmentFailed: they are nowhere, and apt cannot give them.
    """
    if shutil.which("prometheus") and shutil.which("promtool"):
        return find()
    unpacked = folder / "usr" / "bin"
    with _alone(folder):
        if not (unpacked / "promtool").is_file():
            _unpack(folder)
    return find(unpacked)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Of processes that want them at once, one fetches them, and the others wait."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _unpack(folder: Path) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise _lacking("there is no apt-get to fetch it with")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".prometheus.") as temporary:
        work = Path(temporary)
        if not _ran(["apt-get", "download", "prometheus"], work) and os.geteuid() == 0:
            _ran(["apt-get", "update", "--quiet"], work)
            _ran(["apt-get", "download", "prometheus"], work)
        packages = list(work.glob("prometheus_*.deb"))
        if not packages:
            raise _lacking("apt-get could not fetch it")
        unpacked = work / "unpacked"
        if not _ran(["dpkg", "-x", str(packages[0]), str(unpacked)], work):
            raise _lacking(f"{packages[0].name} could not be unpacked")
        # moved whole: an unpacking that was interrupted leaves nothing half-done
        shutil.rmtree(folder, ignore_errors=True)
        unpacked.rename(folder)


def _ran(command: list[str], folder: Path) -> bool:
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, timeout=_SECONDS).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _lacking(why: str) -> EnvironmentFailed:
    return EnvironmentFailed(
        f"Prometheus is not installed, and {why}",
        do="Install it (Debian and Ubuntu: apt install prometheus), or put `prometheus` and `promtool` on the PATH.",
    )
