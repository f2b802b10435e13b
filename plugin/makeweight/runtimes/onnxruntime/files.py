"""An ONNX model on disk: the file itself, the files that its weights lie in, and its ports; read without opening it.

Weights outside the file: https://onnx.ai/onnx/repo-docs/ExternalData.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from makeweight.artifact.files import files_of, is_within
from makeweight.artifact.kind import absent, kind_of
from makeweight.artifact.model import Model
from makeweight.artifact.ports import Port
from makeweight.artifact.versions import versions_of
from makeweight.runtimes.onnxruntime import refusal, zipmap
from makeweight.runtimes.onnxruntime.graphs import all_tensors, graphs
from makeweight.runtimes.onnxruntime.zipmap import ZIPMAP
from makeweight_base.errors import UsageError

# What stands in a clone for a file that is kept elsewhere is a few lines.
_LONGEST_POINTER = 1024
# What a value may be besides a tensor: https://onnx.ai/onnx/repo-docs/IR.html#static-types
_NO_ARRAYS = {
    "map_type": "a dictionary",
    "opaque_type": "of a type that no library has",
    "optional_type": "optional",
    "sequence_type": "a sequence",
    "sparse_tensor_type": "a sparse tensor",
}


def read(path: Path, runtime: str, packages: Sequence[str]) -> Model:
    """The model that begins with this file, as it is once it is taken over.

    Raises:
        UsageError: it is no ONNX file, takes what is no array or works with dictionaries inside, or it names one that
            is missing, cut short or outside its folder.
    """
    import onnx

    proto = onnx.load(path, load_external_data=False)
    if not proto.HasField("graph"):  # other formats of protobuf parse too, as fields that nobody knows
        raise refusal.not_onnx(path)
    ends: dict[str, int] = {}
    for name, end in outside(proto):
        ends[name] = max(end, ends.get(name, 0))
    for name, end in sorted(ends.items()):
        _refuse_unreadable(path, name, end)
    zipmap.take_apart(proto)
    if zipped := next((node for each in graphs(proto.graph) for node in each.node if node.op_type == ZIPMAP), None):
        raise UsageError(
            f"`{zipped.output[0]}` is a list of dictionaries (ZipMap) that the model itself goes on with, and answers "
            "are compared as tensors",
            where=str(path),
            do="Export it with plain arrays, in skl2onnx: convert_sklearn(…, options={'zipmap': False}).",
        )
    weights = {tensor.name for tensor in proto.graph.initializer}
    taken = [value for value in proto.graph.input if value.name not in weights]
    for value in taken:
        _refuse_no_array(path, value)
    return Model(
        folder=path.parent,
        runtime=runtime,
        files=files_of(path.parent, [path.name, *sorted(ends)]),
        inputs=tuple(replace(_port(value), ranked=value.type.tensor_type.HasField("shape")) for value in taken),
        outputs=tuple(_port(value) for value in proto.graph.output),
        packages=versions_of(packages),
    )


def outside(proto: Any) -> Iterator[tuple[str, int]]:
    """The files that tensors of the model lie in, besides its own, and where there each of them ends."""
    for tensor in all_tensors(proto):
        told = {entry.key: entry.value for entry in tensor.external_data}
        if "location" in told:
            yield told["location"], int(told.get("offset", 0)) + int(told.get("length", 0))


def _refuse_unreadable(path: Path, name: str, end: int) -> None:
    """Refuse a file of weights that is not there, or not as long as the model says."""
    where, beside = str(path), path.parent / name
    if not is_within(name):
        raise UsageError(
            f"the weights lie in `{name}`, outside the folder of the file",
            where=where,
            do="Put them beside it: onnx.save(onnx.load(path), path, save_as_external_data=True).",
        )
    if not beside.is_file():
        what, do = absent(beside)
        raise UsageError(
            f"the weights lie in `{name}`, which is missing" if do is None else f"the weights lie in `{name}`: {what}",
            where=where,
            do=do or "Put that file beside it, or save the model as one file: onnx.save(onnx.load(path), path).",
        )
    if (size := beside.stat().st_size) < end:
        pointer = kind_of(beside) if size < _LONGEST_POINTER else None
        raise UsageError(
            f"the weights lie in `{name}`, which is "
            + (f"cut short: {size:,} bytes of at least {end:,}" if pointer is None else pointer.what),
            where=where,
            do="Fetch it or save the model again." if pointer is None else pointer.do,
        )


def _refuse_no_array(path: Path, value: Any) -> None:
    """Refuse an input that is fed with something else than one array."""
    kind = value.type.WhichOneof("value")
    if kind in _NO_ARRAYS:
        raise UsageError(
            f"input `{value.name}` is {_NO_ARRAYS[kind]}, and models are fed with arrays",
            where=str(path),
            do="Export it with tensors for its inputs; of an optional one, with it or without.",
        )


def _port(value: Any) -> Port:
    from onnx.helper import tensor_dtype_to_np_dtype

    tensor = value.type.tensor_type
    # a free size has a name or none; some exporters write it as 0 or -1
    shape = tuple(dim.dim_value if dim.dim_value > 0 else dim.dim_param or None for dim in tensor.shape.dim)
    try:
        dtype = tensor_dtype_to_np_dtype(tensor.elem_type)
    except KeyError:  # a sequence or a map, or a type of which numpy knows nothing
        return Port(value.name, shape, "")
    return Port(value.name, shape, dtype.name if dtype.isbuiltin == 1 and dtype.kind != "O" else "")
