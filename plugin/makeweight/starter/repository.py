"""A repository that DVC can work in: its folders found, `dvc init` run, and the files that say what to ignore."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from makeweight.layout import PIPELINE
from makeweight_base import atomic
from makeweight_base.errors import EnvironmentFailed, MissingExtra, UsageError, reason

# -P, -E: DVC is what is installed beside makeweight, never a `dvc.py` or a `queue.py` of the project, whose folder the
# user's PYTHONPATH may name as well. As options they are DVC's alone; the stages below it keep their environment.
DVC = (sys.executable, "-E", "-P", "-m", "dvc")
# What the pipeline writes into DVC's cache. Ignored as whole folders: DVC would put a .gitignore into each of them, so
# that in a fresh clone they exist half empty and look changed.
_CACHED = ("/artifacts/", "/samples/", "/shipped")
# What `dvc init` has git ignore where there is a git; config.local may hold what opens a remote.
_OF_DVC = ("/config.local", "/tmp", "/cache")  # noqa: S108 - of .dvc/
_WITHOUT_GIT = re.compile(r"^\s*no_scm\s*=\s*true\s*$", re.MULTILINE | re.IGNORECASE)
# What Python, notebooks and macOS leave in source folders; as part of a dependency it would change at every run.
_LITTER = ("__pycache__/", "*.py[co]", ".ipynb_checkpoints/", ".DS_Store")


def require_dvc() -> None:
    """Raises:
    MissingExtra: DVC is not installed in this environment.
    """
    if importlib.util.find_spec("dvc") is None:
        raise MissingExtra("the pipeline", "dvc")


def text(path: Path) -> str | None:
    """A file's text with its line endings as they are; None when there is none.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read: {reason(error)}", where=str(path)) from error


def git_root(folder: Path) -> Path | None:
    """The work tree that a folder lies in."""
    return next((place for place in _upwards(folder) if (place / ".git").exists()), None)


def dvc_root(folder: Path) -> Path | None:
    """The DVC repository that a folder lies in."""
    return next((place for place in _upwards(folder) if (place / ".dvc").is_dir()), None)


def lacks_dvc(folder: Path) -> bool:
    """Whether DVC is still to be started. One from beyond the git repository (whose submodule this is, say) does not
    count: it is in no clone of this one."""
    top, started = git_root(folder), dvc_root(folder)
    return started is None or (top is not None and not started.is_relative_to(top))


def passes_git_over(folder: Path) -> bool:
    """Whether a folder lies in a git repository that its DVC, begun before, does not know of."""
    started = dvc_root(folder)
    if git_root(folder) is None or started is None:
        return False
    return _WITHOUT_GIT.search(text(started / ".dvc" / "config") or "") is not None


def _upwards(folder: Path) -> Iterable[Path]:
    here = folder.resolve()
    return (here, *here.parents)


def start_dvc(folder: Path) -> str:
    """Run `dvc init` as the folder needs it, and say what was done.

    Raises:
        EnvironmentFailed: DVC refuses, with what it said.
    """
    top = git_root(folder)
    if top is None:
        options, said = (["--no-scm"], "dvc init --no-scm: there is no git repository here, so nothing is versioned")
    elif top != folder.resolve():
        options, said = ["--subdir"], f"dvc init --subdir: this folder lies in the git repository {top}"
    else:
        options, said = [], "dvc init: this repository is now one of DVC's as well"
    done = dvc(folder, "init", *options)  # not `--quiet`, which keeps back why it failed
    if done.returncode != 0:
        raise EnvironmentFailed(
            f"`{' '.join(['dvc init', *options])}` failed: {_told(done)}",
            where=str(folder.resolve()),
            do="Mend that, then run again.",
        )
    return said


def write_pipeline(path: Path, old: str | None, new: str) -> None:
    """Write dvc.yaml and have DVC itself read it; what it objects to is undone.

    Raises:
        UsageError: DVC refuses it.
    """
    atomic.write_text(path, new)
    done = dvc(path.parent, "dag", "--dot")  # which objects to a cycle, and to outputs that overlap
    if done.returncode == 0:
        return
    if old is None:
        path.unlink()
    else:
        atomic.write_text(path, old)
    raise UsageError(
        f"DVC refuses the pipeline: {_told(done)}",
        where=PIPELINE,
        do="dvc.yaml is as it was before. Mend the part that is yours, then run `makeweight init` again.",
    )


def dvc(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run this environment's DVC in a folder."""
    return subprocess.run([*DVC, *arguments], cwd=folder, capture_output=True, text=True, errors="replace", check=False)


def _told(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip() and "dvc.org/support" not in line]
    return " ".join(lines).removeprefix("ERROR: ") or f"exit code {done.returncode}"


def git_ignores(folder: Path, path: str) -> bool:
    """Whether git ignores a path (that need not exist); False without git."""
    try:
        done = subprocess.run(["git", "check-ignore", "--quiet", path], cwd=folder, capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def _ignore(path: Path, patterns: Iterable[str], why: str) -> list[str]:
    """Add the patterns that an ignore file does not hold yet, below a comment; returns those added.

    Raises:
        EnvironmentFailed: it cannot be written.
    """
    # git takes names as bytes, in whatever encoding
    old = path.read_bytes().decode("utf-8", "surrogateescape") if path.exists() else ""
    held = {line.strip().strip("/") for line in old.splitlines()}
    new = [pattern for pattern in patterns if pattern.strip("/") not in held]
    if new:
        newline = "\r\n" if "\r\n" in old else "\n"
        gap = "" if not old or old.endswith("\n") else newline
        whole = old + gap + newline.join([f"# {why}", *new, ""])
        atomic.write_bytes(path, whole.encode("utf-8", "surrogateescape"))
    return new


def ignore_what_is_made(root: Path) -> list[str]:
    """Have git ignore what DVC keeps, and DVC what tools leave behind; what was done, in words."""
    said = []
    # also where there is no git yet: it would take the cache, and what opens a remote, once there is one
    if (started := dvc_root(root)) is not None:
        _ignore(started / ".dvc" / ".gitignore", _OF_DVC, "of this computer alone")
    if git_root(root) is not None:
        wanted = [name for name in _CACHED if not git_ignores(root, f"{name.strip('/')}/x")]
        if added := _ignore(root / ".gitignore", wanted, "made by the pipeline; DVC keeps them"):
            said.append(f".gitignore: added {' '.join(added)}")
        said += [
            f"warning: {name.strip('/')}/ holds files already, and git passes over what it does not know of them; move "
            "your own elsewhere"
            for name in added
            if (folder := root / name.strip("/")).is_dir() and any(folder.iterdir())
        ]
    if added := _ignore(root / ".dvcignore", _LITTER, "no part of a source folder"):
        said.append(f".dvcignore: added {' '.join(added)}")
    return said
