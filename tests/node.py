"""Packages of Node.js that tests hold our files and requests against: installed once, beside what else is built."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from lacking import lacking

_BUILD = Path(__file__).resolve().parent.parent / "build" / "node"
_STAMP = "installed.json"
_SECONDS = 900


def install(name: str, packages: Mapping[str, str], *scripts: Path) -> Path:
    """The folder that holds `node_modules` with exactly these versions; their install scripts are not run.

    Scripts lie beside them, where node looks for what they import.

    Where npm is missing or cannot reach its registry the test is skipped, and in CI it fails: there a part of the
    tests that silently does not run would look like one that passes.
    """
    with _alone(name):
        folder = _installed(name, packages)
        for script in scripts:
            _put(script, folder / script.name)
        return folder


@contextlib.contextmanager
def _alone(name: str) -> Iterator[None]:
    """Tests that run side by side wait for the one that installs."""
    _BUILD.mkdir(parents=True, exist_ok=True)
    with (_BUILD / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _put(script: Path, there: Path) -> None:
    """One that is there already is left alone: another test may be running it."""
    if not there.exists() or there.read_bytes() != script.read_bytes():
        shutil.copyfile(script, there)


def _installed(name: str, packages: Mapping[str, str]) -> Path:
    folder = _BUILD / name
    stamp = folder / _STAMP
    wanted = json.dumps(dict(packages), sort_keys=True)
    if stamp.is_file() and stamp.read_text() == wanted:
        return folder
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        lacking(f"{name} needs npm and node, which are not installed")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": dict(packages)}))
    quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock", "--prefer-offline")
    command = [str(npm), "install", *quiet]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        lacking(f"{name}: npm was not done after {_SECONDS} s")
    if done.returncode != 0:
        lacking(f"{name}: npm failed: {done.stderr.strip()[-500:]}")
    # written last: an installation that was interrupted is made again
    stamp.write_text(wanted)
    return folder
