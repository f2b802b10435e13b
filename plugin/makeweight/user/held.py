"""Which files and folders a commit of the repository holds, or will: those that git has or would take, what lies behind
its links and in submodules, and those of which DVC's files tell.

What git is told to ignore otherwise, such as a download or a cache, is another on each machine.
"""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from makeweight.layout import LOCK
from makeweight.nesting import upwards

_TOLD = re.compile(r"""^[\s-]*path:\s+['"]?(.+?)/?['"]?\s*$""", re.MULTILINE)
"""What a .dvc file or dvc.lock names."""


def held(root: Path, paths: Iterable[str]) -> set[str]:
    """Of paths from the project's folder; all of them, where git does not say what it has."""
    listed = set(paths)
    files = _of_git(root)
    if files is None:
        return listed
    entries, folders = set(files), {above for file in files for above in upwards(file)}
    # nothing lies below a file: what is below an entry is behind a link, or a submodule's
    found = {
        path
        for path in listed
        if path in folders or any(each in entries or f"{each}.dvc" in entries for each in upwards(path))
    }
    ignored = {path: {each for each in upwards(path) if _is_ignored(root / each)} for path in listed - found}
    if any(ignored.values()):
        told = {posixpath.basename(path) for file in files if _is_dvcs(file) for path in _named(root / file)}
        found |= {path for path, places in ignored.items() if told & {posixpath.basename(each) for each in places}}
    return found


def _of_git(root: Path) -> list[str] | None:
    """All files that it has or would take, as paths from the project's folder."""
    asked = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ":/")
    try:
        done = subprocess.run(asked, cwd=root, capture_output=True, check=False)
    except OSError:
        return None
    return None if done.returncode != 0 else [os.fsdecode(path) for path in done.stdout.split(b"\0") if path]


def _is_dvcs(file: str) -> bool:
    return file.endswith(".dvc") or posixpath.basename(file) == LOCK


def _named(file: Path) -> list[str]:
    try:
        return _TOLD.findall(file.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return []


def _is_ignored(place: Path) -> bool:
    """Whether git is told to ignore it in the words in which DVC tells so of what it brings or makes."""
    return f"/{place.name}" in _lines(place.parent)


@cache
def _lines(folder: Path) -> frozenset[str]:
    try:
        return frozenset((folder / ".gitignore").read_text(encoding="utf-8", errors="replace").splitlines())
    except OSError:
        return frozenset()
