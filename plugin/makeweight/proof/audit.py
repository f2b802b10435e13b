"""Audit: every hash that a verdict stands on, held against what lies in the project's folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from makeweight.artifact import artifact
from makeweight.artifact.files import sha256_of
from makeweight.artifact.model import Model
from makeweight.evidence import keys
from makeweight.layout import CONFIG, Layout
from makeweight_base.errors import UsageError

Status = Literal["matches", "differs", "not here", "outside"]


@dataclass(frozen=True)
class Finding:
    """One hash of a verdict's provenance, and what was found of it."""

    what: str
    """A path from the project's folder, or a device."""
    recorded: str
    found: str | None
    """None where there is nothing to compare with."""
    status: Status
    """`outside`: the path leads out of the project's folder, and is not followed."""
    kind: Literal["file", "device"] = "file"
    """A device's fingerprint is compared within the verdict, a file with what lies in the folder."""


def audit(provenance: Mapping[str, Any], root: Path) -> list[Finding]:
    """Compute again every hash that can be.

    Args:
        provenance: as `evidence` makes it. It may come from anybody: nothing outside `root` is read on its word.

    Raises:
        UsageError: it is no provenance.
    """
    findings = [_compared(path, recorded, root) for path, recorded in _files(provenance)]
    for name, recorded in _hashes(provenance, "artifacts"):
        findings += _model(name, recorded, root)
    return [*findings, *_devices(provenance)]


def _files(provenance: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Path and recorded hash of every file whose place is known."""
    at = Layout(Path())
    for key, place in (("config", CONFIG), ("benchmark_inputs", at.inputs.as_posix())):
        if provenance.get(key) is not None:
            yield place, _text(provenance[key], key)
    if (raw := _mapping(provenance, "pipeline").get("raw")) is not None:
        yield at.raw.as_posix(), _text(raw, "pipeline")
    for key in ("model", "data"):
        yield from _hashes(provenance, key)
    for name, recorded in _hashes(provenance, "manifests"):
        yield (at.artifact(name) / artifact.MANIFEST).as_posix(), recorded
    for key in ("controls", "raw_samples"):
        yield from _hashes(provenance, key)


def _model(name: str, recorded: str, root: Path) -> Iterator[Finding]:
    """The model of a variant: its suffix is the runtime's, and a second one beside it has no business there."""
    folder = Layout(Path()).artifact(name).as_posix()
    path = _within(folder, root)
    if path is None:
        yield Finding(f"{folder}/model", recorded, None, "outside")
        return
    beside = {each.name for each in path.glob("model.*")}
    several = _of_several_files(path)
    if several is not None:
        there = several.at_hand()
        yield _found(f"{folder}/{several.path.name}", recorded, None if there is None else there.sha256)
        beside -= {file.name for file in several.files}
    for file in sorted(beside):
        yield _compared(f"{folder}/{file}", recorded, root)
    if several is None and not beside:
        yield Finding(f"{folder}/model", recorded, None, "not here")


def _of_several_files(folder: Path) -> Model | None:
    """The model as its manifest tells of it, where it is several files; the manifest has a hash of its own."""
    try:
        told = artifact.read(folder).model
    except UsageError:
        return None
    return told if told is not None and len(told.files) > 1 else None


def _devices(provenance: Mapping[str, Any]) -> Iterator[Finding]:
    """A device's fingerprint is that of the identity beside it."""
    for name, record in _mapping(provenance, "devices").items():
        if isinstance(record, Mapping) and record.get("fingerprint") is not None:
            recorded = _text(record["fingerprint"], "devices")
            identity = record.get("identity")
            found = keys.fingerprint(identity) if isinstance(identity, Mapping) else None
            status: Status = "matches" if found == recorded else "differs"
            yield Finding(f"device `{name}`", recorded, found, status, "device")


def _compared(what: str, recorded: str, root: Path) -> Finding:
    path = _within(what, root)
    if path is None:
        return Finding(what, recorded, None, "outside")
    return _found(what, recorded, sha256_of(path) if path.is_file() else None)


def _found(what: str, recorded: str, found: str | None) -> Finding:
    status: Status = "not here" if found is None else "matches" if found == recorded else "differs"
    return Finding(what, recorded, found, status)


def _within(path: str, root: Path) -> Path | None:
    """The place that a path leads to; None outside `root`. Links are followed: DVC may link to its cache anywhere."""
    top = Path(os.path.normpath(root.absolute()))
    place = Path(os.path.normpath(top / path))
    return place if "\0" not in path and place.is_relative_to(top) else None


def _hashes(provenance: Mapping[str, Any], key: str) -> Iterator[tuple[str, str]]:
    """What is None was not at hand when it was decided, so there is nothing to compare."""
    for name, recorded in _mapping(provenance, key).items():
        if recorded is not None:
            yield str(name), _text(recorded, key)


def _mapping(provenance: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = provenance.get(key)
    if value is not None and not isinstance(value, Mapping):
        raise UsageError(f"provenance.{key} is {type(value).__name__}, and names with their hashes are wanted")
    return value or {}


def _text(value: object, key: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f"provenance.{key} holds {type(value).__name__}, and a hash is wanted")
    return value
