"""`python -m makeweight_probe.bootstrap ASKED.json ANSWERED.json`: a private folder with a Python of its own, and in it
what the probe needs. It takes Python's standard library alone, and changes nothing outside that folder.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from makeweight_probe.alone import alone
from makeweight_probe.last_words import last_line
from makeweight_probe.leaving import in_order, lead

PYTHON = "bin/python"
"""Within the folder."""
_HOLDS = "makeweight.json"
"""Within the folder: what it was made of. Written last."""
_EMPTY = "empty"
"""Within the folder while it is made: there is an environment, and nothing was installed in it yet."""
# What is said of what is lacking, in small letters; the first that fits counts.
_SIGNS = (
    ("disk", ("no space left on device", "disk quota exceeded")),
    ("venv", ("ensurepip is not available", "no module named venv", "no module named ensurepip")),
    (
        "network",
        (
            "failed to establish a new connection",
            "name resolution",
            "name or service not known",
            "network is unreachable",
            "connection refused",
            "timed out",
            "max retries exceeded",
            "proxyerror",
            "sslerror",
            "could not find a suitable tls ca certificate bundle",  # Debian without ca-certificates
        ),
    ),
    ("wheel", ("no matching distribution", "could not find a version")),
)
_TAGS = "import json; from pip._vendor.packaging import tags; print(json.dumps(list(tags.platform_tags())))"
_IMPORT = (
    "import sys; from makeweight_probe import sessions; [sessions.find(name).warm_import() for name in sys.argv[1:]]"
)


class _Lacking(Exception):
    """Why it cannot be made: a word of `_SIGNS`, `runtime` or `unknown`; what was said; and what is known of there."""

    def __init__(self, what: str, said: str) -> None:
        super().__init__(what)
        self.answer: dict[str, Any] = {"lacking": what, "said": said.strip()}


def run(folder: Path, requirements: Sequence[str], runtimes: Sequence[str], wheels: str | None) -> dict[str, Any]:
    """Make the folder, whole or not at all. It is left as it is where it has all that already.

    Args:
        requirements: as pip takes them.
        runtimes: whose sessions must be opened by it.
        wheels: a folder to install from; None: from the index that pip uses there.

    Returns:
        `made`: whether it was made now. Or `lacking` and `said`, with `platforms` and `python` (the tags that a wheel
        may have, and Python's version) where wheels could help.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        holds = folder / _HOLDS
        try:
            if holds.exists() and json.loads(holds.read_text()) == sorted(requirements):
                _try(folder, runtimes)
                return {"made": False}
        except (_Lacking, ValueError):
            pass  # it was broken since: it is made anew
        fresh = folder.with_name(f"{folder.name}.new")
        try:
            _make(fresh, requirements, runtimes, wheels)
            with alone():  # what measures there now runs on the one that is there
                _replace(folder, fresh)
        except _Lacking as error:
            return _left(fresh, error)
        except OSError as error:
            return _left(fresh, _Lacking(lacking(str(error)), str(error)))
        return {"made": True}


def _left(fresh: Path, error: _Lacking) -> dict[str, Any]:
    """Nothing of it, but for an environment that waits for wheels: making one takes long on a small board."""
    if not (fresh / _EMPTY).exists():
        shutil.rmtree(fresh, ignore_errors=True)
    return error.answer


def _make(fresh: Path, requirements: Sequence[str], runtimes: Sequence[str], wheels: str | None) -> None:
    empty = fresh / _EMPTY
    if not empty.exists():
        shutil.rmtree(fresh, ignore_errors=True)  # of one that was killed
        _carry_out([sys.executable, "-m", "venv", str(fresh)])
    empty.unlink(missing_ok=True)
    python = str(fresh / PYTHON)
    where = ["--retries", "1", "--timeout", "10"] if wheels is None else ["--no-index", "--find-links", wheels]
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    try:
        _carry_out([*pip, "--only-binary", ":all:", *where, *requirements])
    except _Lacking as error:
        if wheels is None:
            error.answer["platforms"] = json.loads(_carry_out([python, "-c", _TAGS]))
            error.answer["python"] = "{}.{}".format(*sys.version_info)
            if error.answer["lacking"] == "network":
                empty.touch()
        raise
    _try(fresh, runtimes)
    (fresh / _HOLDS).write_text(json.dumps(sorted(requirements)))


def _try(folder: Path, runtimes: Sequence[str]) -> None:
    """Raises:
    _Lacking: a runtime cannot be imported by it.
    """
    command = [str(folder / PYTHON), "-P", "-c", _IMPORT, *runtimes]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode < 0:
        raise _Lacking("runtime", f"it ends with signal {-done.returncode}")
    if done.returncode:
        raise _Lacking("runtime", last_line(done.stderr))


def _replace(folder: Path, fresh: Path) -> None:
    before = folder.with_name(f"{folder.name}.old")
    shutil.rmtree(before, ignore_errors=True)
    if folder.exists():
        folder.rename(before)
    fresh.rename(folder)
    shutil.rmtree(before, ignore_errors=True)


def _carry_out(command: Sequence[str]) -> str:
    """Raises:
    _Lacking: it failed.
    """
    # what a user's own variables say of other folders is not meant here
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PIP_TARGET")}
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, env=environment)
    if done.returncode:
        said = f"{done.stdout}\n{done.stderr}"
        raise _Lacking(lacking(said), error(said))
    return done.stdout


def lacking(said: str) -> str:
    """A word of `_SIGNS`, or `unknown`."""
    low = _in_a_line(said.lower())
    return next((what for what, signs in _SIGNS if any(sign in low for sign in signs)), "unknown")


def error(said: str) -> str:
    """What says it: pip's errors before what follows from them; else the line that has a sign of what is lacking, or
    the sentence, since Debian's Python breaks the one about `venv`; else the last line."""
    errors = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR: ")]
    sentences = re.split(r"(?<=\.) ", _in_a_line(said))
    telling = (each.strip() for each in (*said.splitlines(), *sentences) if lacking(each) != "unknown")
    return errors[0] if errors else next(telling, last_line(said))


def _in_a_line(said: str) -> str:
    return " ".join(said.split())


if __name__ == "__main__":
    lead()
    _asked, _answered = map(Path, sys.argv[1:])
    _given = json.loads(_asked.read_text())
    _given["folder"] = Path(_given["folder"])
    with in_order():
        _answered.write_text(json.dumps(run(**_given)))
