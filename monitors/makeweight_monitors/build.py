"""Which compressed variant is served: what a graph needs to show what changed, from the artifact's manifest.json."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from makeweight_base.errors import UsageError, reason


@dataclass(frozen=True)
class Build:
    """Facts of a model file; an empty text is one that is not known."""

    compressed: str
    """The variant as makeweight.yaml calls it."""
    bits: str = ""
    """Of a weight."""
    runtime: str = ""
    recipe: str = ""
    """The first 12 hex digits of a hash over the recipe."""
    sha256: str = ""
    size: int | None = None
    """Bytes."""


def read(path: Path) -> Build:
    """Read `artifacts/<variant>/manifest.json`.

    Raises:
        UsageError: there is none, it is damaged, or its recipe failed, so that nothing can be served.
    """
    try:
        manifest = json.loads(path.read_text())
        if manifest["status"] != "ready":
            raise UsageError(f"the recipe failed: {manifest['reason']}", where=str(path), do="Serve a variant that is.")
        digest = hashlib.sha256(json.dumps(manifest["recipe"], sort_keys=True).encode()).hexdigest()
        return Build(
            compressed=str(manifest["variant"]),
            bits="".join(filter(str.isdigit, manifest["weights"])),
            runtime=str(manifest["runtime"]),
            recipe=digest[:12],
            sha256=str(manifest["sha256"]),
            size=int(manifest["size"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"this is no manifest: {reason(error)}",
            where=str(path),
            do="Take the one that `makeweight compress` wrote.",
        ) from error
