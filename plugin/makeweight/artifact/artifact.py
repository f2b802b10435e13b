"""Artifact: a model file and its manifest, which says what it was made from and what it holds."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from makeweight_base.atomic import write_json
from makeweight_base.errors import UsageError

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What is known of a model file. A recipe that could not be carried out leaves one too, and no model file."""

    variant: str
    status: Literal["ready", "failed"]
    runtime: str
    recipe: list[dict[str, Any]]
    seed: int
    parent: str | None
    """sha256 of the baseline that the variant was made from."""
    versions: Mapping[str, str]
    reason: str | None = None
    """Why the recipe failed."""
    file: str | None = None
    sha256: str | None = None
    size: int | None = None
    """Bytes."""
    size_compressed: int | None = None
    """Bytes after zlib level 9."""
    parameters: int | None = None
    macs: int | None = None
    operators: Mapping[str, int] = field(default_factory=dict)
    """Nodes by type in the runtime's optimised graph."""
    quantized: int | None = None
    floating: int | None = None
    control: str | None = None
    """The file of the control: the baseline, trained as the variant was and not compressed."""
    notes: Mapping[str, Any] = field(default_factory=dict)

    def path(self, folder: Path) -> Path:
        """The model file.

        Raises:
            UsageError: the recipe failed, so there is none.
        """
        if self.file is None:
            raise UsageError(f"variant `{self.variant}` has no model file: {self.reason}", where=str(folder / MANIFEST))
        return folder / self.file


def write(folder: Path, manifest: Manifest) -> None:
    write_json(folder / MANIFEST, asdict(manifest))


def read(folder: Path) -> Manifest:
    """The manifest of an artifact's folder.

    Raises:
        UsageError: there is none, or it is damaged.
    """
    path = folder / MANIFEST
    try:
        return Manifest(**json.loads(path.read_text()))
    except FileNotFoundError as error:
        raise UsageError("no such artifact yet", where=str(path), do="Run `dvc repro`, which makes it.") from error
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"this is no manifest ({error})",
            where=str(path),
            do="Delete the folder and run `dvc repro` again.",
        ) from error


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def compressed_size(path: Path) -> int:
    """Bytes of a file after zlib level 9: what it costs to store or send, and what sparsity and sharing can save."""
    packer = zlib.compressobj(9)
    total = 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            total += len(packer.compress(chunk))
    return total + len(packer.flush())
