"""Files that belong together: weighed, hashed, named from their folder."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class File:
    """One file of a model; `name` is its path from the model's folder."""

    name: str
    size: int
    """Bytes."""
    sha256: str


def files_of(folder: Path, names: Iterable[str]) -> tuple[File, ...]:
    """The files of a folder, weighed and hashed."""
    return tuple(File(name, (folder / name).stat().st_size, sha256_of(folder / name)) for name in names)


def is_within(name: str) -> bool:
    """Whether a file's name leads to a place within the folder that it is read from."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in name


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def compressed_size(path: Path) -> int:
    """Bytes of a file after zlib level 9."""
    packer = zlib.compressobj(9)
    total = 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            total += len(packer.compress(chunk))
    return total + len(packer.flush())
