"""Which files of the repository were read while the user's code ran: what lies in them decides what that does, too."""

from __future__ import annotations

import contextlib
import os
import posixpath
import sys
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path

from makeweight.artifact.files import sha256_of
from makeweight.layout import CONFIG, LOCK, OWN, PIPELINE, Layout
from makeweight.user.declared import Declared
from makeweight.user.held import held
from makeweight.user.own import own
from makeweight.user.ran import undeclared

MOST = 8
"""Files of one folder that are named one by one; of more, the folder is."""
_KEPT = 1000
"""Names that are kept of one folder."""
_LARGEST = 100 << 20
"""Bytes of a file that is hashed: GitHub takes no larger one into git, and what DVC brings has its own hash."""
_AT = Layout(Path())
_FOLDERS = (_AT.artifact("x").parent, _AT.outcomes("x").parent.parent, _AT.reports, _AT.shipped)
_OURS = (CONFIG, PIPELINE, LOCK, OWN, *map(str, _FOLDERS))
_PASSED_OVER = frozenset({".git", ".dvc", "__pycache__"})

_LISTING = frozenset({"os.listdir", "os.scandir"})
_names: dict[str, set[str]] = {}
"""What was opened for reading since `watch`, by folder."""
_listed: set[str] = set()
"""Folders in which somebody looked what there is: one file more may be another answer."""


@cache
def watch() -> None:
    """From now on, note which files are opened by Python (PEP 578); what a library opens by itself is not seen."""
    sys.addaudithook(_note)


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event in _LISTING:
        _note_folder(arguments[0])
    if event != "open":
        return
    path, _, flags = arguments
    if not isinstance(path, str | bytes) or not isinstance(flags, int) or flags & (os.O_WRONLY | os.O_TRUNC):
        return
    with contextlib.suppress(OSError, ValueError):  # it is the user's to be told so
        folder, name = os.path.split(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100 - of each file that is opened
        names = _names.setdefault(folder, set())
        if len(names) < _KEPT:
            names.add(name)


def _note_folder(path: object) -> None:
    # imports look so as well, and what they may find counts by itself; two frames up, as the hook is one
    if not isinstance(path, str | bytes) or "importlib" in sys._getframe(2).f_code.co_filename:
        return
    with contextlib.suppress(OSError, ValueError):
        _listed.add(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100


def opened(declared: Declared, besides: Collection[str]) -> dict[str, str | None]:
    """sha256 of the files of the repository that were read in this process and that makeweight.yaml does not name, by
    their path from the project's folder; None of a large one. Of a folder with many of them, or one that was listed,
    the folder, without a hash.

    Args:
        besides: files that are known to have been executed.
    """
    folder = declared.root.resolve()
    found: list[str] = []
    for place in own(folder, [*_names, *_listed]):
        at = Path(os.path.relpath(place, folder)).as_posix()
        steps = set(at.split("/"))
        if steps & _PASSED_OVER:
            continue
        files = _files(declared, at, _names.get(str(place), ()), besides)
        few = list(islice(files, MOST + 1))
        many = len(few) > MOST or (str(place) in _listed and bool(undeclared((*declared.named, *_OURS), [at])))
        if many and not steps <= {".", ".."}:
            found.append(at)
        else:
            found += (*few, *files)
    return {path: _hash(folder / path) for path in sorted(held(folder, found))} if found else {}


def _hash(path: Path) -> str | None:
    return sha256_of(path) if path.is_file() and path.stat().st_size <= _LARGEST else None


def _files(declared: Declared, at: str, names: Iterable[str], besides: Collection[str]) -> Iterator[str]:
    paths = [posixpath.normpath(posixpath.join(at, name)) for name in names]
    for path in undeclared((*declared.named, *_OURS), paths):
        if path not in besides and (declared.root / path).is_file():
            yield path
