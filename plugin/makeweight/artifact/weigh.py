"""Put a model file on the scales: its bytes, and what its graph holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from makeweight.artifact.artifact import compressed_size, sha256_of
from makeweight.runtimes.runtime import Runtime


def weigh(path: Path, runtime: Runtime) -> dict[str, Any]:
    """The fields of a Manifest that are read off the file.

    Raises:
        UsageError: the runtime cannot open it.
    """
    facts = runtime.inspect(path)
    return {
        "file": path.name,
        "sha256": sha256_of(path),
        "size": path.stat().st_size,
        "size_compressed": compressed_size(path),
        "parameters": facts.parameters,
        "macs": facts.macs,
        "operators": dict(facts.operators),
        "quantized": facts.quantized,
        "floating": facts.floating,
    }
