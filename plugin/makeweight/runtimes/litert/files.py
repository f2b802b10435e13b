"""A LiteRT model on disk and its ports: in the order in which the file has them, by the names that its signature gives
them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from makeweight.artifact import kind
from makeweight.artifact.files import files_of
from makeweight.artifact.model import Model
from makeweight.artifact.ports import Port
from makeweight.artifact.versions import versions_of
from makeweight.runtimes.litert import refusal
from makeweight_base.errors import UsageError
from makeweight_base.quiet import silent
from makeweight_probe.sessions.litert import names, runtime_module, scale_of


def read(path: Path, runtime: str, packages: Sequence[str]) -> Model:
    """The model that this file is.

    Raises:
        UsageError: it is missing, damaged or no LiteRT file, or it has several signatures.
    """
    if not path.is_file():
        raise kind.no_file(path, refusal.WANTED)
    with refusal.translated(path), silent():
        model = runtime_module().Interpreter(model_path=str(path))
        signatures = list(model.get_signature_list())
        inputs, outputs = names(model)
    if len(signatures) > 1:
        raise UsageError(
            f"the file has {len(signatures)} signatures ({', '.join(signatures)}), and a model is one of them",
            where=str(path),
            do="Convert the one that is served into a file of its own.",
        )
    return Model(
        folder=path.parent,
        runtime=runtime,
        files=files_of(path.parent, [path.name]),
        inputs=tuple(map(_port, inputs, model.get_input_details())),
        outputs=tuple(map(_port, outputs, model.get_output_details())),
        packages=versions_of(packages),
    )


def _port(name: str, told: Mapping[str, Any]) -> Port:
    sizes = told["shape_signature"] if len(told["shape_signature"]) else told["shape"]
    dtype = np.dtype(told["dtype"])
    return Port(
        name,
        tuple(int(size) if size >= 0 else None for size in sizes),
        dtype.name if dtype.kind in "fiub" else "",
        scale=scale_of(told),
    )
