"""A model's folder held against the hash that a pointer names, before anything of it is loaded."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path, PurePosixPath

from makeweight_base.errors import UsageError, reason

MANIFEST = "manifest.json"
_DO = "Hand it over again with `makeweight ship --to pointer:FILE`."


def model_file(folder: Path, sha256: str) -> Path:
    """The file that the runtime opens, of a model whose files are all there, to the byte.

    Args:
        sha256: as the manifest has it: of one file its own, of several that over their hashes and names.

    Raises:
        UsageError: there is no manifest, or a file is missing or another.
    """
    path = folder / MANIFEST
    try:
        names = [str(file["name"]) for file in json.loads(path.read_bytes())["model"]["files"]]
        if not names or any(PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts for name in names):
            raise ValueError("a model has files, and they lie in its folder")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"this is no manifest of a model: {reason(error)}", where=str(path), do=_DO) from error
    try:
        hashes = [_of(folder / name) for name in names]
    except OSError as error:
        where = str(error.filename or folder)
        raise UsageError(f"a file of the model cannot be read: {reason(error)}", where=where, do=_DO) from error
    listed = "".join(f"{one}  {name}\n" for one, name in zip(hashes, names, strict=True))
    found = hashes[0] if len(hashes) == 1 else hashlib.sha256(listed.encode()).hexdigest()
    if found != sha256:
        what = f"the model is not the one that the pointer names: {found[:12]} is here, {sha256[:12]} is named"
        raise UsageError(what, where=str(folder), do=_DO)
    return folder / names[0]


def _of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
