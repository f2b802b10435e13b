"""Files that lie side by side on a device, found again by one hash of their names and contents."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from makeweight.artifact.files import sha256_of

SHOWN = 32
"""Characters of a hash that stand for all of it: 128 bits."""


def hash_of(files: Sequence[Path]) -> str:
    """Of names and contents."""
    found = hashlib.sha256()
    for file in files:
        found.update(f"{file.name}\0{sha256_of(file)}\0".encode())
    return found.hexdigest()[:SHOWN]
