"""What a file holds that no inference reads: an exporter's notes, and small numbers stored as large ones.

Quantizing drops some of it and float16 none, so sizes compare like with like only where every file is without.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.artifact.model import Model
from makeweight.runtimes import traced
from makeweight.runtimes.onnxruntime import zipmap
from makeweight.runtimes.onnxruntime.aside import put_aside, put_back
from makeweight.runtimes.onnxruntime.files import outside
from makeweight.runtimes.onnxruntime.graphs import all_tensors, graphs

_SCOPES = "pkg.torch.onnx.name_scopes"
# Weights beside a file begin at multiples of this, so that they can be mapped into memory.
_PAGE = 4096
# By ONNX's name, what a tensor's numbers are that may lie in `int32_data`, where one takes up to ten bytes.
_NARROW = {
    "FLOAT16": np.uint16, "BFLOAT16": np.uint16, "INT16": np.int16, "UINT16": np.uint16, "INT8": np.int8,
    "UINT8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip


def lean(model: Any) -> None:
    """Leave out, in place, what is noted of nodes and values (stack traces, documentation), and store numbers of fewer
    than 32 bits raw. Of a node's notes the module that it belongs to stays, in front of its name, since that is how a
    recipe names it; and what is said of the model as a whole stays: an application may read it.

    The fields: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
    """
    for part in (*graphs(model.graph), *model.functions):
        for node in part.node:
            _name_by_module(node)
    for part in (model.graph, *model.functions):
        _strip(part)
    for tensor in all_tensors(model):
        narrow = _NARROW.get(_type(tensor))
        if narrow is not None and tensor.int32_data:
            values: NDArray[Any] = np.array(tensor.int32_data, np.int32).astype(narrow)
            tensor.ClearField("int32_data")
            tensor.raw_data = values.astype(values.dtype.newbyteorder("<")).tobytes()


def lean_copy(source: Model, target: Path) -> list[str]:
    """Copy a model's files, with `target` as the one that the runtime opens; that one is written anew where it gets
    smaller by it, or answers dictionaries.

    Returns:
        the names of the outputs that were dictionaries.
    """
    import onnx

    source.copy(target)
    model = onnx.load(source.path, load_external_data=False)
    before = model.ByteSize()
    zipped = zipmap.take_apart(model)
    lean(model)
    if zipped or model.ByteSize() < before:
        write(model, target)
    return zipped


def write(model: Any, target: Path) -> None:
    """Write a model as one lean file, each time with the same bytes; where that would be more than one holds, its large
    weights into one beside it."""
    lean(model)
    aside = put_aside(model) if held_bytes(model) > traced.LARGEST else {}
    _write_beside(model, aside, _beside(target))
    target.write_bytes(model.SerializeToString(deterministic=True))
    put_back(model, aside)


def held_bytes(model: Any) -> int:
    """Bytes of the numbers that a model holds itself."""
    return sum(len(tensor.raw_data) for tensor in all_tensors(model))


def size_of(target: Path) -> int:
    """Bytes of a model that was written, with those beside it."""
    return sum(path.stat().st_size for path in (target, _beside(target)) if path.is_file())


def _beside(target: Path) -> Path:
    return target.with_name(f"{target.name}.data")


def _write_beside(model: Any, aside: Mapping[str, bytes], path: Path) -> None:
    """Write the numbers of weights that are laid aside into a file, and where they lie into the model; without any, no
    file is left there that the model does not name.

    https://github.com/onnx/onnx/blob/main/docs/ExternalData.md
    """
    if not aside:
        if all(Path(name) != Path(path.name) for name, _ in outside(model)):
            path.unlink(missing_ok=True)
        return
    with path.open("wb") as file:
        for tensor in model.graph.initializer:
            if tensor.name not in aside:
                continue
            file.seek(-file.tell() % _PAGE, os.SEEK_CUR)
            told = {"location": path.name, "offset": file.tell(), "length": len(aside[tensor.name])}
            for key, value in told.items():
                tensor.external_data.add(key=key, value=str(value))
            file.write(aside[tensor.name])


def _type(tensor: Any) -> str:
    from onnx import TensorProto

    return str(TensorProto.DataType.Name(tensor.data_type))


def _name_by_module(node: Any) -> None:
    """https://docs.pytorch.org/docs/stable/onnx_export.html notes the modules around a node, from the whole inwards."""
    noted = next((entry.value for entry in node.metadata_props if entry.key == _SCOPES), "[]")
    try:
        scopes = [str(scope) for scope in ast.literal_eval(noted)]
    except (ValueError, SyntaxError, TypeError):  # somebody else's note
        return
    module = next((scope for scope in reversed(scopes[:-1]) if scope), "")
    if module:
        node.name = f"{module}/{node.name}"


def _strip(message: Any) -> None:
    for field, value in message.ListFields():
        if field.name in ("metadata_props", "doc_string"):
            message.ClearField(field.name)
        elif field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                _strip(part)
