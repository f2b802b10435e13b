"""Content on disk, held against what a dvc.lock names. Without DVC, which takes most of a second to begin."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def is_as_named(root: Path, entries: Mapping[str, Any]) -> bool:
    """Whether everything that is there of these entries of a lock has the content that they name, to the last file.

    False where that is not so or cannot be told here: where DVC ignores some of what lies in a folder, follows a link
    to another, or has noted a hash of another kind.

    Args:
        entries: as `lock.stages` has them.
    """
    noted = [each for entry in entries.values() for part in ("deps", "outs") for each in entry.get(part) or ()]
    try:
        return all(_is_as_named(root / each["path"], each) for each in noted)
    except OSError:
        return False


def _is_as_named(path: Path, noted: Mapping[str, Any]) -> bool:
    if not os.path.lexists(path):
        return True
    return noted.get("hash") == "md5" and _md5(path) == noted.get("md5")


def _md5(path: Path) -> str | None:
    """The hash that DVC (3) has for a file or a folder, were nothing in it ignored."""
    if not path.is_dir():
        return _md5_of_file(path)
    listed = []
    for folder, below, files in os.walk(path):
        if any(Path(folder, name).is_symlink() for name in below):
            return None
        for name in files:
            whole = Path(folder, name)
            listed.append({"md5": _md5_of_file(whole), "relpath": whole.relative_to(path).as_posix()})
    listed.sort(key=lambda each: str(each["relpath"]))
    text = json.dumps(listed, sort_keys=True).encode()
    return f"{hashlib.md5(text, usedforsecurity=False).hexdigest()}.dir"


def _md5_of_file(path: Path) -> str | None:
    if not stat.S_ISREG(path.stat().st_mode):
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
