"""Which files and folders a commit of the repository holds: git's, and those of which DVC's files tell there.

What else lies in a work tree, such as a download or a cache, is another on each machine.
"""

from __future__ import annotations

import os
import posixpath
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path


def held(root: Path, paths: Iterable[str]) -> set[str]:
    """Of paths from the project's folder; all of them, where git does not say what it has."""
    listed = set(paths)
    of_dvc = {path for path in listed if any(_is_dvcs(root / each) for each in _upwards(path))}
    if of_dvc == listed or (files := _of_git(root)) is None:
        return listed
    return of_dvc | (listed & {above for file in files for above in _upwards(file)})


def _of_git(root: Path) -> list[str] | None:
    """All files of the index, as paths from the project's folder."""
    try:
        asked = subprocess.run(("git", "ls-files", "-z", "--", ":/"), cwd=root, capture_output=True, check=False)
    except OSError:
        return None
    return None if asked.returncode != 0 else [os.fsdecode(path) for path in asked.stdout.split(b"\0") if path]


def _is_dvcs(place: Path) -> bool:
    """Whether DVC brings or makes it: then a file beside it tells of it, or has git ignore it."""
    return place.with_name(f"{place.name}.dvc").is_file() or f"/{place.name}" in _ignored(place.parent)


@cache
def _ignored(folder: Path) -> frozenset[str]:
    try:
        return frozenset((folder / ".gitignore").read_text(encoding="utf-8", errors="replace").splitlines())
    except OSError:
        return frozenset()


def _upwards(path: str) -> Iterator[str]:
    """It, and the folders that it lies in; not those that the project's folder does."""
    while path and not path.endswith(".."):
        yield path
        path = posixpath.dirname(path)
