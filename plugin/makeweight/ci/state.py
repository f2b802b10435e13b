"""What the phases of one run (`open`, `compress`, `measure`, `gate`) tell each other, in `.makeweight/`."""

from __future__ import annotations

import functools
import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from makeweight.ci.git import Git
from makeweight.ignored import ignored
from makeweight.layout import OWN, UNFINISHED
from makeweight_base import atomic
from makeweight_base.errors import Exit, MakeweightError, Problem, UsageError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

BASE = "base"
"""In `OWN`, the folder of the base's artifacts."""
REGRESSIONS = "regressions"
"""In it, the folder of what was measured beside those."""
_FILE, _FAILURE = "state.json", "failure.json"
HANDED = (_FILE, _FAILURE, BASE, REGRESSIONS)
"""What in it one phase reads of another."""


@dataclass(frozen=True)
class State:
    """How far a run is: what the phases found. The verdict rests on none of it: the gate finds the base by itself, and
    what changed since."""

    base: str | None
    """The commit that is compared with, for phases that may not fetch it."""
    lacking: str | None = None
    """Why artifacts could not be made, where that is nobody's fault: no credentials, data that are not here."""
    skipped: int = 0
    """Benchmarks that did not have to be run."""
    refused: dict[str, str] = field(default_factory=dict)
    """Why a device may not run this change's code."""
    notices: list[str] = field(default_factory=list)


def clear(root: Path, git: Git) -> None:
    """An empty folder for this run.

    Raises:
        UsageError: the change brings such a folder with it.
    """
    if git.tracked(OWN):
        raise UsageError(
            "git tracks this folder, where only this run may write", where=OWN, do=f"Run `git rm -r {OWN}`."
        )
    begin(root)


def begin(root: Path) -> None:
    """The folder with nothing in it, whatever stands there."""
    remove(root / OWN)
    ignored(root)


def tidy(root: Path) -> None:
    """Leave in the folder nothing that stages may have written there; the notes are those that a phase writes now."""
    for entry in (root / OWN).iterdir():
        if entry.name not in (".gitignore", BASE):
            remove(entry)


def forget(folder: Path) -> None:
    """Clear it of an earlier run, on somebody's own machine: what was begun there and goes on is not CI's."""
    if folder.is_symlink() or not folder.is_dir():
        remove(folder)
        return
    for entry in folder.iterdir():
        if entry.name not in UNFINISHED:
            remove(entry)


def remove(path: Path) -> None:
    """Clear a place, whatever stands there; where a link leads is left alone."""
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        path.unlink()
    shutil.rmtree(path, ignore_errors=True)


def write(root: Path, state: State) -> None:
    atomic.write_json(root / OWN / _FILE, asdict(state))


def read(root: Path) -> State:
    """Raises:
    UsageError: no run was begun here, or what it noted is damaged.
    """
    path = root / OWN / _FILE
    try:
        return _reader().validate_json(path.read_bytes(), strict=True)
    except FileNotFoundError as error:
        raise UsageError(
            "no run was begun here",
            where=str(path),
            do="Run `makeweight ci`, or its phases in their order: `ci open`, `ci compress`, `ci measure`, `ci gate`.",
        ) from error
    except ValueError as error:
        raise UsageError(
            f"these notes are damaged ({error})", where=str(path), do="Run `makeweight ci` again."
        ) from error


@functools.cache
def _reader() -> TypeAdapter[State]:
    from pydantic import TypeAdapter  # heavy, and only some phases read it

    return TypeAdapter(State)


class EarlierFailure(MakeweightError):
    """A phase before this one failed; what it said is told again where it is read."""


def write_failure(root: Path, error: MakeweightError) -> None:
    """Keep what a phase failed with, for the phase that tells."""
    if (root / OWN).is_dir():
        problems = [asdict(each) for each in error.problems]
        noted = {"what": str(error), "code": int(error.exit_code), "problems": problems}
        atomic.write_json(root / OWN / _FAILURE, noted)


def read_failure(root: Path) -> EarlierFailure | None:
    """What an earlier phase failed with; its exit code is never one that scripts take for a verdict."""
    from pydantic import TypeAdapter

    try:
        noted = json.loads((root / OWN / _FAILURE).read_text(encoding="utf-8"))
        what, code = str(noted["what"]), int(noted["code"])
        problems = TypeAdapter(tuple[Problem, ...]).validate_python(noted["problems"])
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, RecursionError):
        what, code, problems = "an earlier phase failed", Exit.ENVIRONMENT, ()
    failure = EarlierFailure(what)
    failure.problems = problems
    # the model's own code runs where these notes lie, and a 0 among them would open the gate
    failure.exit_code = Exit(code) if code in (Exit.USAGE, Exit.INTERRUPTED) else Exit.ENVIRONMENT
    return failure
