"""What a file holds that no inference reads: an exporter's notes, and small numbers stored as large ones.

Quantizing drops some of it and float16 none, so sizes compare like with like only where every file is without.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.artifact.model import Model
from makeweight.runtimes import traced
from makeweight.runtimes.onnxruntime import zipmap
from makeweight.runtimes.onnxruntime.graphs import all_tensors, graphs
from makeweight.runtimes.runtime import RecipeFailed

_SCOPES = "pkg.torch.onnx.name_scopes"
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
    """Write a model as one lean file, each time with the same bytes.

    Raises:
        RecipeFailed: it is more than one file holds.
    """
    lean(model)
    size = sum(len(tensor.raw_data) for tensor in all_tensors(model))
    if size > traced.LARGEST:
        raise RecipeFailed(
            f"its weights would take {size / 1e9:.1f} GB, and one ONNX file holds at most {traced.LARGEST / 1e9:.1f} GB"
        )
    target.write_bytes(model.SerializeToString(deterministic=True))


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
