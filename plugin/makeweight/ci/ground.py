"""The ground that a change is re-run from, laid over its checkout: the base's reports, and the lock joined of both."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from makeweight.ci import lock
from makeweight.ci.base import LOCK, Base
from makeweight.ci.git import Git
from makeweight.layout import Layout
from makeweight_base import atomic
from makeweight_base.errors import Exit, MakeweightError, UsageError

FOLDER = ".makeweight"
"""Where continuous integration keeps what is its own; git is told to ignore it."""


@dataclass(frozen=True)
class Ground:
    """What the phases of one run tell each other, through `.makeweight/ground.json`."""

    head: str
    base: str | None
    branch: str | None
    """The branch that the change goes to."""
    unchanged: bool = False
    """Everything that makes artifacts is as it is at the base, so the base's measurements decide."""
    anew: bool = False
    """Everything is measured again, changed or not."""
    lacking: str | None = None
    """Why artifacts could not be made, where that is nobody's fault: no credentials, data that are not here."""
    skipped: int = 0
    """Benchmarks that did not have to be run."""
    refused: dict[str, str] = field(default_factory=dict)
    """Why a device may not run this change's code."""
    notices: list[str] = field(default_factory=list)


def clear(root: Path, git: Git) -> Path:
    """An empty folder for this run.

    Raises:
        UsageError: the change brings such a folder with it.
    """
    if git.tracked(FOLDER):
        raise UsageError(
            "git tracks this folder, where only this run may write", where=FOLDER, do=f"Run `git rm -r {FOLDER}`."
        )
    folder = root / FOLDER
    remove(folder)
    folder.mkdir(parents=True)
    atomic.write_text(folder / ".gitignore", "*\n")
    return folder


def remove(path: Path) -> None:
    """Clear a place for a folder, whatever stands there; where a link leads is left alone."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    shutil.rmtree(path, ignore_errors=True)


def note(root: Path, ground: Ground) -> None:
    atomic.write_json(root / FOLDER / "ground.json", asdict(ground))


def noted(root: Path) -> Ground:
    """Raises:
    UsageError: no run was begun here, or its notes are damaged.
    """
    from pydantic import TypeAdapter  # heavy, and only some phases read notes

    path = root / FOLDER / "ground.json"
    try:
        return TypeAdapter(Ground).validate_json(path.read_bytes(), strict=True)
    except FileNotFoundError as error:
        raise UsageError(
            "nothing was compressed here yet", where=str(path), do="Run `makeweight ci compress`."
        ) from error
    except ValueError as error:
        raise UsageError(
            f"these notes are damaged ({error})", where=str(path), do="Run `makeweight ci` again."
        ) from error


def note_failure(root: Path, error: MakeweightError) -> None:
    """Keep what a phase failed with, for the phase that tells."""
    if (root / FOLDER).is_dir():
        atomic.write_json(root / FOLDER / "failure.json", {"said": str(error), "code": int(error.exit_code)})


def noted_failure(root: Path) -> tuple[str, int] | None:
    """What an earlier phase failed with, and its exit code: never one that scripts take for a verdict."""
    path = root / FOLDER / "failure.json"
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))
        said, code = str(noted["said"]), int(noted["code"])
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, RecursionError):
        return "an earlier phase failed", int(Exit.ENVIRONMENT)
    # the model's own code runs where these notes lie, and a 0 among them would open the gate
    return said, code if code in (Exit.USAGE, Exit.INTERRUPTED) else int(Exit.ENVIRONMENT)


def lay(root: Path, base: Base | None, git: Git) -> Mapping[str, object]:
    """Put the base's reports where the head's are, and write the joined lock. What was there is git's to keep.

    Returns the entries of the head's own lock.

    Raises:
        UsageError: a lock cannot be read.
    """
    layout, path = Layout(root), root / LOCK
    own = path.read_bytes().decode(errors="replace") if path.exists() else None
    theirs = base.lock if base is not None else None
    head = lock.stages(own, LOCK)
    lock.stages(theirs, f"{LOCK} of the base")
    for folder in (layout.reports, layout.artifact("x").parent, layout.outcomes("x").parent.parent):
        remove(folder)
    if base is not None:
        for name in git.files(base.sha, layout.reports.relative_to(root).as_posix()):
            content = git.read(base.sha, name)
            if content is not None:
                atomic.write_bytes(root / name, content)
    entries = lock.joined(own, theirs)
    if entries != own:
        atomic.write_text(path, entries)
    return head
