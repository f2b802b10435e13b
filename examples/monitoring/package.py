"""Debian's packages, fetched by apt and only unpacked: no service is set up, and no rights are needed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from makeweight_base.errors import EnvironmentFailed
from makeweight_monitors.prometheus.throwaway import Programs, find

_SECONDS = 300
_TEMPLATES = Path("usr/share/prometheus/alertmanager")
"""Debian's Alertmanager reads its templates from there, wherever it lies itself, and ends without them."""


def programs(folder: Path) -> Programs:
    """Prometheus and promtool on the PATH, else those unpacked in `folder`, fetched when they are not there yet.

    Raises:
        EnvironmentFailed: they are nowhere, and apt cannot give them.
    """
    if shutil.which("prometheus") and shutil.which("promtool"):
        return find()
    return find(unpacked(folder, "usr/bin/promtool", "prometheus").parent)


def haproxy(folder: Path) -> list[str]:
    """The command of HAProxy: on the PATH, else unpacked in `folder` with the libraries that it takes.

    Raises:
        EnvironmentFailed: it is nowhere, and apt cannot give it.
    """
    if (found := shutil.which("haproxy")) is not None:
        return [found]
    libraries = ("liblua5.3-0", "libopentracing-c-wrapper0", "libopentracing1")
    program = unpacked(folder, "usr/sbin/haproxy", "haproxy", *libraries)
    beside = ":".join(str(path) for path in (folder / "usr" / "lib").glob("*-linux-gnu"))
    return ["env", f"LD_LIBRARY_PATH={beside}", str(program)]


def alertmanager(folder: Path) -> list[str]:
    """The command of Alertmanager: on the PATH, else unpacked in `folder`.

    Raises:
        EnvironmentFailed: it is nowhere, and apt cannot give it, or nobody may put its templates where it reads them.
    """
    for name in ("prometheus-alertmanager", "alertmanager"):
        if (found := shutil.which(name)) is not None:
            return [found]
    program = unpacked(folder, "usr/bin/prometheus-alertmanager", "prometheus-alertmanager")
    there = Path("/") / _TEMPLATES
    if not (there / "default.tmpl").is_file():
        try:
            shutil.copytree(folder / _TEMPLATES, there, dirs_exist_ok=True)
        except OSError as error:
            why = f"Debian's reads its templates from {there}, which only root may write to"
            raise _lacking("prometheus-alertmanager", why) from error
    return [str(program)]


def unpacked(folder: Path, program: str, *packages: str) -> Path:
    """A program that is unpacked in `folder`, with the packages that it takes; fetched when they are not there yet.

    Args:
        program: where it lies in them.
        packages: the first is what people would install.

    Raises:
        EnvironmentFailed: apt cannot give them.
    """
    with alone(folder):
        if not (folder / program).is_file():
            _unpack(folder, packages)
    return folder / program


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Of processes that want a folder of what is unpacked at once, one makes it, and the others wait."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _unpack(folder: Path, packages: Sequence[str]) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise _lacking(packages[0], "there is no apt-get to fetch it with")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        work = Path(temporary)
        if not _ran(["apt-get", "download", *packages], work) and os.geteuid() == 0:
            _ran(["apt-get", "update", "--quiet"], work)
            _ran(["apt-get", "download", *packages], work)
        whole = work / "unpacked"
        for package in packages:
            found = list(work.glob(f"{package}_*.deb"))
            if not found:
                raise _lacking(packages[0], f"apt-get could not fetch {package}")
            if not _ran(["dpkg", "-x", str(found[0]), str(whole)], work):
                raise _lacking(packages[0], f"{found[0].name} could not be unpacked")
        # moved whole: an unpacking that was interrupted leaves nothing half-done
        shutil.rmtree(folder, ignore_errors=True)
        whole.rename(folder)


def _ran(command: list[str], folder: Path) -> bool:
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, timeout=_SECONDS).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _lacking(package: str, why: str) -> EnvironmentFailed:
    return EnvironmentFailed(
        f"{package} is not installed, and {why}",
        do=f"Install it (Debian and Ubuntu: apt install {package}), or put its programs on the PATH.",
    )
