"""Files that belong together on a device, found again by one hash of their names and contents."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from makeweight.artifact.files import sha256_of

SHOWN = 32
"""Characters of a hash that stand for all of it: 128 bits."""


def named(files: Sequence[Path]) -> dict[str, Path]:
    """Files by their paths from the folder of the first, which refers to the others by these.

    Raises:
        ValueError: one lies outside that folder.
    """
    folder = files[0].parent
    return {file.relative_to(folder).as_posix(): file for file in files}


def hash_of(files: Mapping[str, Path]) -> str:
    """Of names and contents.

    Args:
        files: by the name that each is to have on the device.
    """
    found = hashlib.sha256()
    for name, file in files.items():
        found.update(f"{name}\0{sha256_of(file)}\0".encode())
    return found.hexdigest()[:SHOWN]
