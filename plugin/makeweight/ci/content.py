"""Content on disk, held against what a dvc.lock names. Without DVC, which takes most of a second to begin."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from makeweight.ci import hashes


def is_as_named(root: Path, entries: Mapping[str, Any]) -> bool:
    """Whether everything that is there of these entries of a lock has the content that they name, to the last file.

    False where that is not so or cannot be told here: where DVC ignores some of what lies in a folder, follows a link
    to another, or has noted a hash of another kind.

    Args:
        entries: as `lock.stages` has them.
    """
    listed = [each for entry in entries.values() for part in ("deps", "outs") for each in entry.get(part) or ()]
    # most is named by several: the baseline and the examples by every variant
    noted = {(each["path"], hashes.noted(each)) for each in listed}
    try:
        return all(_is_as_named(root / path, md5) for path, md5 in noted)
    except OSError:
        return False


def _is_as_named(path: Path, noted: str | None) -> bool:
    return not os.path.lexists(path) or (noted is not None and _md5(path) == noted)


def _md5(path: Path) -> str | None:
    """The hash that DVC has for a file or a folder, were nothing in it ignored; None where it cannot be told."""
    if not path.is_dir():
        return _md5_of_file(path)
    found = {}
    for folder, below, files in os.walk(path):
        if any(Path(folder, name).is_symlink() for name in below):
            return None
        for name in files:
            whole = Path(folder, name)
            if (md5 := _md5_of_file(whole)) is None:
                return None
            found[whole.relative_to(path).as_posix()] = md5
    return hashes.of_folder(found)


def _md5_of_file(path: Path) -> str | None:
    if not stat.S_ISREG(path.stat().st_mode):
        return None
    with path.open("rb") as file:
        return hashes.of_stream(file)
