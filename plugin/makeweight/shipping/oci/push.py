"""What shipped, in a registry: its files, then the manifest that makes them one, then the tag; read back."""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from makeweight.shipping.oci import manifest
from makeweight.shipping.oci.registry import Opens, Registry, RegistryFailed
from makeweight.shipping.shipped import Shipped
from makeweight_base.errors import UsageError, reason


@dataclass(frozen=True)
class Pushed:
    """What came of it."""

    address: str
    """What it is pulled by: `oci://HOST/NAME@sha256:…`."""
    tag: str
    sent: int
    """How many files the registry did not have yet."""
    before: str | None
    """What the tag named before, where that was something else."""


def push(shipped: Shipped, registry: Registry) -> Pushed:
    """The tag moves last, when all that it names is there: nobody pulls half of it.

    Raises:
        RegistryFailed: the registry refuses, does not answer, or gives back something else; until the manifest is
            taken the tag is as it was.
    """
    tag = registry.reference.tag
    content = manifest.of(shipped)
    digest = manifest.digest(content)
    before = registry.manifest(tag)
    blobs: dict[str, Opens] = {file.sha256: partial(_opened, shipped.folder / file.name) for file in shipped.files}
    sent = sum([registry.send(f"sha256:{sha256}", opens) for sha256, opens in blobs.items()])
    registry.send(manifest.digest(manifest.EMPTY), lambda: io.BytesIO(manifest.EMPTY))
    registry.put(tag, content)
    where = registry.reference.at(digest)
    if registry.manifest(digest) != content:
        raise RegistryFailed("the manifest reads otherwise than it was sent", where=where, do="Do not deploy it.")
    if registry.manifest(tag) != content:
        do = f"It is there, under its digest. See who else pushes `{tag}`."
        raise RegistryFailed(f"the tag `{tag}` already names something else again", where=where, do=do)
    moved = None if before is None or before == content else manifest.named(before)
    return Pushed(where, tag, sent, moved)


def _opened(path: Path) -> AbstractContextManager[BinaryIO]:
    try:
        return path.open("rb")
    except OSError as error:
        raise UsageError(f"cannot be read any more: {reason(error)}", where=str(path)) from error
