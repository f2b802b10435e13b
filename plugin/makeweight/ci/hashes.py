"""Content by the hashes that DVC (3) notes for it, without DVC."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from io import BufferedReader


def of_bytes(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def of_stream(file: BufferedReader) -> str:
    return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def of_folder(files: Mapping[str, str]) -> str:
    """Args:
    files: the hashes of all files in it that are not ignored, by their path from there.
    """
    listed = [{"md5": md5, "relpath": path} for path, md5 in sorted(files.items())]
    return f"{of_bytes(json.dumps(listed, sort_keys=True).encode())}.dir"


def noted(entry: Mapping[str, str]) -> str | None:
    """The hash that a lock or a .dvc file has of a path; None where it is none of these."""
    return entry.get("md5") if entry.get("hash") == "md5" else None
