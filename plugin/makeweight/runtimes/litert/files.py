"""A LiteRT model on disk and its ports: in the order in which the file has them, by the names that its signature gives
them.

Signatures: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from makeweight_probe.flatbuffer import Table, root
from makeweight_probe.sessions.litert import names, runtime_module, scale_of

# Where a model has them, in its schema.
_SIGNATURES = 7


def read(path: Path, runtime: str, packages: Sequence[str]) -> Model:
    """The model that this file is.

    Raises:
        UsageError: it is missing, damaged or no LiteRT file, or has a signature of something else than what is run.
    """
    if not path.is_file():
        raise kind.no_file(path, refusal.WANTED)
    with refusal.translated(path), silent():
        model = runtime_module().Interpreter(model_path=str(path))
        _refuse_others(path, _signatures(path))
        inputs, outputs = names(model)
    return Model(
        folder=path.parent,
        runtime=runtime,
        files=files_of(path.parent, [path.name]),
        inputs=tuple(map(_port, inputs, model.get_input_details())),
        outputs=tuple(map(_port, outputs, model.get_output_details())),
        packages=versions_of(packages),
    )


@dataclass(frozen=True)
class _Signature:
    """A function of a file, which may have several."""

    key: str
    graph: int
    """Which of the file's graphs it is."""
    inputs: tuple[tuple[str, int], ...]
    """Names, with the tensors that have them."""
    outputs: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        taken, given = ([name for name, _ in ports] for ports in (self.inputs, self.outputs))
        return f"`{self.key}`: {', '.join(taken) or 'nothing'} to {', '.join(given) or 'nothing'}"


def _signatures(path: Path) -> list[_Signature]:
    """Those of a file that has been read already, by the places of its fields."""

    def ports(told: Table, field: int) -> tuple[tuple[str, int], ...]:
        return tuple(sorted((each.text(0), each.number(1, "I")) for each in told.tables(field)))

    return [
        _Signature(told.text(2), told.number(4, "I"), ports(told, 0), ports(told, 1))
        for told in root(path.read_bytes()).tables(_SIGNATURES)
    ]


def _refuse_others(path: Path, signatures: Sequence[_Signature]) -> None:
    """An interpreter runs the first graph, whatever signatures there are. Several that are the same function with the
    same names are one."""
    if len({(each.graph, each.inputs, each.outputs) for each in signatures}) > 1:
        raise UsageError(
            f"the file has {len(signatures)} signatures, and a model is one of them: {'; '.join(map(str, signatures))}",
            where=str(path),
            do="Convert the one that is served into a file of its own: "
            f"`tf.lite.TFLiteConverter.from_saved_model(FOLDER, signature_keys=['{signatures[0].key}'])`, or "
            "`litert_torch.convert` of that module alone.",
        )
    if odd := next((each for each in signatures if each.graph), None):
        raise UsageError(
            f"the file's signature `{odd.key}` is of its graph {odd.graph}, and what is run is graph 0",
            where=str(path),
            do="Convert it once more, into a file that has this function alone.",
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
