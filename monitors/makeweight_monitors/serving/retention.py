"""Models that lie beside a pointer and are served no more: which of them may go, and removing them.

    pointer's folder/models/<hash of the files>/

A folder's time is when a pointer last named it (`pointer.write` sets it). None goes that a pointer there names, none
that was named within the hour, since a server may be on its way to load it, and not the ones that were named last: the
way back is short.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

from makeweight_base.errors import EnvironmentFailed, UsageError, reason
from makeweight_monitors.serving import pointer as pointers

MODELS = "models"
"""The folder beside a pointer in which models lie, each under the hash of its files."""
_LOADED_WITHIN = 3600.0
"""Seconds after which no server loads any more what a pointer does not name: followers look every second."""
_OURS = re.compile("[0-9a-f]{64}")
_GOING = ".removed.part"


def older(times: Mapping[str, float], named: Set[str], keep: int, now: float) -> list[str]:
    """The models that may go, from the one that was named longest ago.

    Args:
        times: by name, when a pointer last named it (Unix time).
        named: those that one names now.
        keep: how many of the others stay, the latest.
    """
    rest = sorted(times.keys() - named, key=lambda name: (times[name], name))
    return [name for name in rest[: max(len(rest) - keep, 0)] if now - times[name] > _LOADED_WITHIN]


def remove_older(pointer: Path, keep: int, now: float | None = None) -> list[str]:
    """Remove what may go beside a pointer; the names of what went.

    Other pointers in the folder count as well. Where one of them cannot be read, nothing goes.

    Raises:
        UsageError: a pointer cannot be read.
        EnvironmentFailed: a folder cannot be removed, or another writer holds the pointer's lock.
    """
    folder = pointer.parent / MODELS
    with pointers.locked(pointer), _telling(folder):
        for left in folder.glob(f".*{_GOING}"):
            shutil.rmtree(left)
        found = [each for each in folder.glob("*") if _OURS.fullmatch(each.name) and _is_plain(each)]
        times = {each.name: each.stat().st_mtime for each in found}
        names = older(times, _named(pointer), keep, time.time() if now is None else now)
        for name in names:
            # under another name first: what is half removed is never taken for a model
            going = folder / f".{name}{_GOING}"
            (folder / name).rename(going)
            shutil.rmtree(going)
    return names


def _named(pointer: Path) -> set[str]:
    """The folders of models that this pointer, or another beside it, names."""
    beside = {each for each in pointer.parent.glob("*.json") if each.is_file()} | {pointer}
    served = [one for each in beside if each == pointer or _is_pointer(each) for one in pointers.load(each).served()]
    places = [Path(one.path).parts for one in served]
    return {parts[1] for parts in places if len(parts) > 1 and parts[0] == MODELS}


def _is_pointer(path: Path) -> bool:
    """Whether a file means to be one: it speaks of a stable model, or is damaged beyond that."""
    try:
        content = pointers.read(path)
    except UsageError:
        return True
    return b'"stable"' in content


def _is_plain(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


@contextlib.contextmanager
def _telling(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EnvironmentFailed(f"older models cannot be removed: {reason(error)}", where=str(folder)) from error
