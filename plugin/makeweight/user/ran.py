"""Which files of the repository Python ran: their content decides what the user's callables do, declared or not."""

from __future__ import annotations

import posixpath
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from types import CodeType

from makeweight.artifact.files import sha256_of
from makeweight.layout import CONFIG
from makeweight.nesting import within
from makeweight.user.own import own
from makeweight_base.errors import UsageError
from makeweight_base.progress import Progress

# How many files an error names.
_NAMED = 5

_executed: set[str] = set()
"""Where code came from that was executed since `watch`: also a module's that took itself out of sys.modules."""


@cache
def watch() -> None:
    """From now on, note which files are executed (PEP 578). A hook cannot be taken off again, so there is one."""
    sys.addaudithook(_note)


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "exec" and isinstance(arguments[0], CodeType):
        _executed.add(arguments[0].co_filename)


def ran(root: Path) -> dict[str, str]:
    """sha256 of the files of the work tree that were executed in this process, by their path from the project's folder.

    What is installed and makeweight itself are left out; what other processes ran, such as a loader's workers, is not
    seen. Byte code goes by the name of its source, where there is one.
    """
    known = [file for module in [*sys.modules.values()] if isinstance(file := getattr(module, "__file__", None), str)]
    return {at: sha256_of(path) for at, path in own(root, (*_executed, *known)) if path.is_file()}


def refuse_undeclared(root: Path, sources: Iterable[str], progress: Progress) -> None:
    """Refuse code of the project's folder that ran and that `sources` does not name: DVC would not see it change. What
    lies elsewhere in the repository is told.

    Raises:
        UsageError: such code ran.
    """
    lines = undeclared(sources, ran(root))
    inside = [line for line in lines if not line.startswith("../") and "site-packages" not in Path(line).parts]
    if inside:
        raise UsageError(
            f"code ran that no entry covers, so DVC would not see it change: {_some(inside)}",
            where=f"{CONFIG}: sources",
            do=f"Add, and run `makeweight init`:{_listed(entries(inside))}",
        )
    told(lines, progress)


def told(lines: Sequence[str], progress: Progress) -> None:
    """Say which code ran that a change would alter without DVC's seeing it."""
    if lines:
        progress.say(
            f"code ran that `sources` in {CONFIG} does not name, so DVC does not see it change; add{_listed(lines)}"
        )


def entries(paths: Sequence[str]) -> list[str]:
    """The lines of `sources` that cover files, by their paths from the project's folder; several in one by its name."""
    counts = Counter(path.partition("/")[0] for path in paths)
    return sorted({path if counts[top] == 1 else f"{top}/" for path in paths if (top := path.partition("/")[0])})


def _listed(lines: Iterable[str]) -> str:
    return "".join(f"\n  - {line}" for line in lines)


def _some(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return f"{', '.join(paths[:_NAMED])}{more}"


def undeclared(sources: Iterable[str], paths: Iterable[str]) -> list[str]:
    """Of files that ran or are read, by their paths from the project's folder, those that no source is or holds."""
    named = [posixpath.normpath(source) for source in sources]
    return sorted(path for path in paths if not any(within(path, each) for each in named))
