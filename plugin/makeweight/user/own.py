"""Which files are the repository's own: those of its work tree that are neither installed nor makeweight's."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import makeweight


def own(root: Path, places: Iterable[str]) -> list[tuple[str, Path]]:
    """Of files and folders, the work tree's that a project's folder lies in, sorted; in front of each, its path from
    the project's folder."""
    folder = root.resolve()
    tree = next((place for place in (folder, *folder.parents) if (place / ".git").exists()), folder)
    outside = [place for place in _installed() if not folder.is_relative_to(place)]
    within, *others = (f"{str(place).rstrip('/')}/" for place in (tree, *outside))
    # of thousands, nearly all lie elsewhere by their first letters, and making paths of them took longest of all here
    near = {place for place in places if not place.startswith(("<", *others))}
    paths = {Path(place).absolute() for place in near if f"{place}/".startswith(within) or not _is_plain(place)}
    found = (path for path in paths if path.is_relative_to(tree) and not any(map(path.is_relative_to, outside)))
    return [(Path(os.path.relpath(path, folder)).as_posix(), path) for path in sorted(found, key=str)]


def _is_plain(place: str) -> bool:
    """Whether where it lies shows in its first letters."""
    return place.startswith("/") and not any(part in place for part in ("//", "/./", "/../"))


def _installed() -> list[Path]:
    """Where nothing is of the repository's, even if it lies there: an environment, and these packages."""
    places = [sys.prefix, *(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))]
    packages = Path(makeweight.__file__).parents[1]
    ours = [packages / name for name in ("makeweight", "makeweight_base", "makeweight_probe")]
    return [*(Path(place).resolve() for place in places), *ours]
