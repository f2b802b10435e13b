"""The files of an arm64 Debian, or of whatever apt's sources are for, with a Python that has numpy and ONNX Runtime.

Packages and wheels are fetched by name and only unpacked: nothing is set up, and what packages and architectures this
machine has stays as it is. 40 MB are fetched, and 160 MB kept in `build`.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from examples.monitoring import package
from lacking import lacking
from makeweight_base.errors import EnvironmentFailed

ONNXRUNTIME = "1.23.2"
"""Later ones end with a signal under qemu's user mode."""
_NUMPY = "2.2.6"
_BUILD = Path(__file__).resolve().parent.parent / "build"
_PACKAGES = ("base-files", "coreutils", "dash", "findutils", "libstdc++6", "python3", "tar")
"""What the shell's scripts of `devices/ssh.py` take, and the probe; what they depend on comes with them."""
_UNREAD = ("doc", "info", "lintian", "locale", "man", "perl", "zoneinfo")
"""Folders of usr/share that nobody looks into."""
_PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")
_WITHIN = "usr/lib/python3/dist-packages"
"""Where Debian's Python looks for packages."""
_SECONDS = 600


@functools.cache
def files() -> Path:
    """The root folder, made once and kept. Where its parts cannot be had the test is skipped, and in CI it fails."""
    folder = _BUILD / "arm64"
    with package.alone(folder):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=_BUILD, prefix=".arm64.") as temporary:
                work = Path(temporary)
                root = work / "root"
                _unpack(_packages(work), root)
                _furnish(root, work)
                # moved whole: what was interrupted leaves nothing half-made
                root.rename(folder)
    return folder


@functools.cache
def qemu() -> Path:
    """What runs programs of arm64 here, linked statically, so that it also starts where none of our libraries are."""
    if (found := shutil.which("qemu-aarch64-static")) is not None:
        return Path(found)
    try:
        return package.unpacked(_BUILD / "qemu", "usr/bin/qemu-aarch64-static", "qemu-user-static")
    except EnvironmentFailed as error:
        lacking(str(error))


def _packages(work: Path) -> list[Path]:
    """The packages and what they depend on, by an apt that knows of nothing installed and keeps all in a folder."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        lacking("an arm64 system is made of packages, and there is no apt-get and no dpkg-deb here")
    for place in ("state/lists/partial", "cache/archives/partial"):
        (work / place).mkdir(parents=True)
    (work / "status").touch()
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": "1",
        "Dir::State": work / "state",
        "Dir::State::status": work / "status",
        "Dir::Cache": work / "cache",
    }
    apt = ["apt-get", "--quiet", "--yes", *(f"--option={name}={value}" for name, value in settings.items())]
    # a source of this machine may have nothing for arm64, which is told as a failure; what follows says if that matters
    _ran([*apt, "update"], work)
    said = _ran([*apt, "install", "--download-only", *_PACKAGES], work)
    if said is not None:
        lacking(f"apt-get has no {', '.join(_PACKAGES)} for arm64 here: {said}")
    return sorted((work / "cache" / "archives").glob("*.deb"))


def _unpack(packages: Sequence[Path], root: Path) -> None:
    for place in ("bin", "lib", "sbin"):
        (root / "usr" / place).mkdir(parents=True)
        (root / place).symlink_to(f"usr/{place}")
    unread = [f"--exclude=./usr/share/{folder}" for folder in _UNREAD]
    for each in packages:
        read, unpack = ["dpkg-deb", "--fsys-tarfile", str(each)], ["tar", "--extract", "--no-same-owner", *unread]
        with subprocess.Popen(read, stdout=subprocess.PIPE) as archive:
            subprocess.run(
                [*unpack, "--keep-directory-symlink", "--directory", str(root)], stdin=archive.stdout, check=True
            )
        assert archive.returncode == 0, each.name
    for place in ("dev", "proc", "root", "sys", "tmp"):
        (root / place).mkdir(exist_ok=True)


def _furnish(root: Path, work: Path) -> None:
    """Give its Python numpy and ONNX Runtime."""
    python = (root / "usr" / "bin" / "python3").readlink().name
    version = python.removeprefix("python")
    platforms = [word for platform in _PLATFORMS for word in ("--platform", platform)]
    said = _ran(
        [
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input",
            "--no-deps", "--only-binary", ":all:", "--python-version", version, *platforms, "--dest", str(work),
            f"numpy=={_NUMPY}", f"onnxruntime=={ONNXRUNTIME}",
        ],
        work,
    )  # fmt: skip
    if said is not None:
        lacking(f"pip has no wheels for arm64 and Python {version}: {said}")
    for wheel in work.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(root / _WITHIN, [name for name in archive.namelist() if "/tests/" not in name])


def _ran(command: Sequence[str], folder: Path) -> str | None:
    """What it said where it failed; None: it did not."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"it was not done after {_SECONDS} s"
    return None if done.returncode == 0 else done.stderr.strip()[-500:]
