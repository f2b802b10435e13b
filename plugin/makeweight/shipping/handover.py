"""Handing what shipped to those who serve it: which way, by a pointer that servers follow, or as a plain folder."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from makeweight.artifact.artifact import MANIFEST
from makeweight.proof import signing
from makeweight.shipping import bucket
from makeweight.shipping import shipped as folders
from makeweight.shipping.oci import reference
from makeweight.shipping.shipped import Shipped
from makeweight_base.errors import UsageError
from makeweight_monitors.metrics import Variant
from makeweight_monitors.serving import pointer as pointers
from makeweight_monitors.serving.pointer import Pointer, Served
from makeweight_monitors.serving.retention import MODELS

Kind = Literal["pointer", "folder", "oci", "bucket"]


def target(text: str) -> tuple[Kind, str]:
    """Which way, and where to: a path, or the whole address.

    Raises:
        UsageError: it is none.
    """
    kind, _, place = text.partition(":")
    if kind in ("pointer", "folder") and place:
        return ("pointer" if kind == "pointer" else "folder"), place
    if place.startswith("//") and kind == reference.SCHEME:
        return "oci", text
    if place.startswith("//") and kind in bucket.PACKAGES:
        return "bucket", text
    stores = ", ".join(f"`{scheme}://`" for scheme in bucket.PACKAGES)
    do = f"Give `pointer:FILE`, `folder:PATH`, `oci://HOST/NAME:TAG`, or the address of a bucket ({stores})."
    raise UsageError(f"`{text}` names no target", where="--to", do=do)


def vouched(shipped: Shipped, key: Path) -> None:
    """Raises:
    UsageError: the verdict is not signed; NotGenuine: not with this key; MissingExtra: `cryptography` is lacking.
    """
    path = folders.verdict_of(shipped.folder)
    beside = signing.beside(path)
    if not beside.is_file():
        do = "Sign the verdict (`makeweight sign`) and ship again, or leave out `--key`."
        raise UsageError("the verdict is not signed", where=str(beside), do=do)
    text = signing.content(beside).decode(errors="replace")
    signing.check(signing.content(path), text, signing.content(key), where=str(key), source=str(beside))


def to_folder(shipped: Shipped, place: Path) -> None:
    """Copy it to `place`, in place of what was handed over there before.

    Raises:
        UsageError: something else stands there.
        EnvironmentFailed: see `shipped.copy`.
    """
    if place.exists() and not (place / MANIFEST).is_file() and not _is_empty(place):
        do = "Name a folder of its own, or remove what is there."
        raise UsageError("what stands there was not shipped, and is not overwritten", where=str(place), do=do)
    folders.copy(shipped, place)


def to_pointer(
    shipped: Shipped, pointer: Path, arm: Variant, *, weight: float, revision: str | None, attempt: int
) -> Pointer:
    """Copy it beside a pointer, then point at it: as the canary with its share of the traffic, or as stable, alone.

    Args:
        weight: the canary's, 0 to 1.
        revision: the release; None: the first 12 digits of the model's hash.

    Raises:
        UsageError: there is no stable model yet for a canary to stand beside, a canary is on trial that a new stable
            model would end, the pointer is damaged, or another writer was faster.
        EnvironmentFailed: see `shipped.copy` and `pointer.write`.
    """
    stands = pointers.load(pointer) if pointer.exists() or pointer.is_symlink() else None
    if stands is None and arm == "canary":
        raise UsageError(
            "there is no stable model that a canary could stand beside",
            where=str(pointer),
            do="Hand over the model that serves today first, with `--as stable`.",
        )
    if stands is not None and stands.canary is not None and arm == "stable":
        raise UsageError(
            f"a canary (`{stands.canary.variant}`, {stands.canary.revision}) is on trial, and would end",
            where=str(pointer),
            do="Promote it or roll it back first.",
        )
    place = pointer.parent / MODELS / shipped.digest
    if not _is_there(shipped, place):
        folders.copy(shipped, place)
    try:
        served = Served(
            model=shipped.verdict.project,
            variant=shipped.manifest.variant,
            revision=shipped.sha256[:12] if revision is None else revision,
            sha256=shipped.sha256,
            path=f"{MODELS}/{shipped.digest}",
            weight=1.0 if arm == "stable" else weight,
            attempt=attempt,
        )
        if stands is None or arm == "stable":
            changed = Pointer(served, None, 0 if stands is None else stands.epoch)
        else:
            changed = stands.on_trial(served)
    except ValueError as error:
        raise UsageError(f"that cannot be pointed at: {error}", where=str(pointer)) from error
    written = pointers.write(pointer, changed)
    if not place.is_dir():  # until it was named, it might have been removed as an old one
        folders.copy(shipped, place)
    return written


def _is_there(shipped: Shipped, place: Path) -> bool:
    try:
        return folders.read(place).digest == shipped.digest
    except UsageError:
        return False  # none, or damaged: it is copied anew


def _is_empty(place: Path) -> bool:
    return place.is_dir() and not any(place.iterdir())
