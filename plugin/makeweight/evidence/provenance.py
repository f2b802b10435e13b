"""What a verdict was made from, by hash."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import makeweight
from makeweight.artifact import artifact
from makeweight.artifact.files import sha256_of
from makeweight.devices.record import Record
from makeweight.evidence import keys
from makeweight.evidence.evidence import AtHand
from makeweight.layout import BASELINE


def provenance(at_hand: AtHand, answered: Iterable[str], timed: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The hashes of all that went in. No clock and no commit: the same inputs give the same verdict.json.

    A file is named by its path from the project's folder; None stands for one that was not at hand.

    Args:
        answered, timed: the variants, and with their devices, whose raw samples count.
    """
    project, layout, manifests = at_hand.project, at_hand.project.layout, at_hand.manifests
    counting = list(answered)
    raw = [layout.outcomes(name) for name in counting] + [layout.timings(*place) for place in timed]
    controls = [m.control.folder / file.name for m in manifests.values() if m.control for file in m.control.files]
    return {
        "makeweight": makeweight.__version__,
        "config": hash_of(layout.config),
        "model": {path: hash_of(project.root / path) for path in project.model.files},
        "data": {path: hash_of(project.root / path) for path in project.data.places.values()},
        "artifacts": dict(at_hand.hashes),
        "manifests": {name: hash_of(layout.artifact(name) / artifact.MANIFEST) for name in manifests},
        "controls": {path.relative_to(layout.root).as_posix(): hash_of(path) for path in controls},
        "failed": {name: str(m.reason) for name, m in manifests.items() if m.status == "failed"},
        "test_examples": at_hand.answers[BASELINE].digest if BASELINE in counting else None,
        "benchmark_inputs": at_hand.inputs,
        **({} if at_hand.sources is None else {"pipeline": {"sources": at_hand.sources, "raw": at_hand.raw}}),
        "raw_samples": {path.relative_to(layout.root).as_posix(): sha256_of(path) for path in raw},
        "devices": {name: _device(record) for name, record in at_hand.devices.items()},
        "versions": {name: dict(m.versions) for name, m in manifests.items()},
        "seed": project.seed,
        "code": _used([*(m.code for m in manifests.values()), *(own.code for own in at_hand.answers.values())]),
        "read": _used([*(m.read for m in manifests.values()), *(own.read for own in at_hand.answers.values())]),
    }


def _used(records: Iterable[Mapping[str, str | None] | None]) -> dict[str, str | None] | None:
    """The repository's own code that ran, or files that were read, by path; None where two stages had it with
    different content.

    None as a whole where one of them did not note it.
    """
    found: dict[str, str | None] = {}
    for record in records:
        if record is None:
            return None
        for path, sha256 in record.items():
            found[path] = sha256 if found.get(path, sha256) == sha256 else None
    return found


def hash_of(path: Path) -> str | None:
    return sha256_of(path) if path.is_file() else None


def _device(record: Record) -> dict[str, Any]:
    plain = record.model_dump(exclude_none=True)
    return plain if record.status != "ok" else {**plain, "fingerprint": keys.fingerprint(record.identity)}
