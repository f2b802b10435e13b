"""Which files of the repository were read while the user's code ran: what lies in them decides what that does, too."""

from __future__ import annotations

import contextlib
import os
import posixpath
import sys
from collections import Counter
from collections.abc import Collection
from functools import cache
from pathlib import Path
from types import FrameType

from makeweight.artifact.files import sha256_of
from makeweight.layout import CONFIG, LOCK, OWN, PIPELINE, Layout
from makeweight.nesting import upwards
from makeweight.user.declared import Declared
from makeweight.user.held import held
from makeweight.user.own import own
from makeweight.user.ran import undeclared

MOST = 8
"""Files and folders of one folder that are named one by one; of more, the folder is."""
_KEPT = 1000
"""Names that are kept of one folder."""
_LARGEST = 100 << 20
"""Bytes of a file that is hashed: GitHub takes no larger one into git, and what DVC brings has its own hash."""
_AT = Layout(Path())
_FOLDERS = (_AT.artifact("x").parent, _AT.outcomes("x").parent.parent, _AT.reports, _AT.shipped)
_OURS = (CONFIG, PIPELINE, LOCK, OWN, *map(str, _FOLDERS))
_PASSED_OVER = frozenset({".git", ".dvc", "__pycache__"})

_noting = True
"""As all of a module, nothing once Python ends and takes it apart: of what is opened then nobody asks any more."""
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
    if not _noting:
        return
    if event in _LISTING:
        _note_folder(arguments[0])
    if event != "open" or len(arguments) != 3:  # anybody may raise an event of this name
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
    asked = os.curdir if path is None else path
    with contextlib.suppress(OSError, ValueError):  # also where no Python stands two frames up
        # two, as the hook is one
        if isinstance(asked, str | bytes) and not _looks_for_its_own(sys._getframe(2)):
            _listed.add(os.path.abspath(os.fsdecode(asked)))  # noqa: PTH100


def _looks_for_its_own(frame: FrameType) -> bool:
    """Whether it is an import, of which what it may find counts by itself, or DVC, which goes through the whole
    repository for its files where code asks it for parameters or data; those that it opens count."""
    if "importlib" in frame.f_code.co_filename:
        return True
    around: FrameType | None = frame
    while around is not None and around.f_globals.get("__name__") != "dvc.ignore":
        around = around.f_back
    return around is not None


def opened(declared: Declared, besides: Collection[str]) -> dict[str, str | None]:
    """sha256 of the files of the repository that were read in this process and that makeweight.yaml does not name, by
    their path from the project's folder; None of a large one. Of a folder with many of them, or one that was listed,
    the folder, without a hash.

    Args:
        besides: files that are known to have been executed.
    """
    folder, named = declared.root.resolve(), (*declared.named, *_OURS)
    files: set[str] = set()
    looked: set[str] = set()
    for at, place in own(folder, [*_names, *_listed]):
        if _PASSED_OVER & set(at.split("/")) or not undeclared(named, [at]):
            continue
        if str(place) in _listed and not _is_around(at):
            looked.add(at)
        names = [*_names.get(str(place), ())]  # at once: a thread may open more meanwhile
        files.update(undeclared(named, [posixpath.normpath(posixpath.join(at, name)) for name in names]))
    used = {*files, *looked} - {*besides}
    there = {path for path in held(folder, used) if path in looked or (folder / path).is_file()} if used else set()
    return {path: _hash(folder / path) for path in sorted(_gathered(there, looked))}


def _gathered(paths: set[str], looked: set[str]) -> set[str]:
    """With a folder in the place of what lies in it, where that is much, or it was listed."""
    steps = {step for path in paths for step in upwards(path)}
    counts = Counter(map(posixpath.dirname, steps))
    whole = {around for around, count in counts.items() if count > MOST and not _is_around(around)} | (looked & paths)
    return {next((step for step in upwards(path) if step in whole), path) for path in paths}


def _is_around(folder: str) -> bool:
    """Whether the project lies in it."""
    return {"", ".", ".."}.issuperset(folder.split("/"))


def _hash(path: Path) -> str | None:
    return sha256_of(path) if path.is_file() and path.stat().st_size <= _LARGEST else None
