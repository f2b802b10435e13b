"""An ONNX model on disk: the file itself, the files that its weights lie in, and its ports; read without opening it.

Weights outside the file: https://onnx.ai/onnx/repo-docs/ExternalData.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from makeweight.artifact.files import files_of, is_within
from makeweight.artifact.model import Model
from makeweight.artifact.ports import Port
from makeweight.artifact.versions import versions_of
from makeweight.runtimes.onnxruntime.graphs import graphs, tensors
from makeweight_base.errors import UsageError


def read(path: Path, runtime: str, packages: Sequence[str]) -> Model:
    """The model that begins with this file.

    Raises:
        UsageError: it names a file that is missing, or lies outside its folder.
    """
    import onnx

    proto = onnx.load(path, load_external_data=False)
    beside = sorted(set(_outside(proto)))
    for name in beside:
        if not is_within(name):
            raise UsageError(
                f"the weights lie in `{name}`, outside the folder of the file",
                where=str(path),
                do="Put them beside it: onnx.save(onnx.load(path), path, save_as_external_data=True).",
            )
        if not (path.parent / name).is_file():
            raise UsageError(
                f"the weights lie in `{name}`, which is missing",
                where=str(path),
                do="Put that file beside it, or save the model as one file: onnx.save(onnx.load(path), path).",
            )
    weights = {tensor.name for tensor in proto.graph.initializer}
    return Model(
        folder=path.parent,
        runtime=runtime,
        files=files_of(path.parent, [path.name, *beside]),
        inputs=tuple(_port(value) for value in proto.graph.input if value.name not in weights),
        outputs=tuple(_port(value) for value in proto.graph.output),
        packages=versions_of(packages),
    )


def _outside(proto: Any) -> Iterator[str]:
    """The files that tensors of the model lie in, besides its own."""
    for part in (*graphs(proto.graph), *proto.functions):
        for tensor in (*getattr(part, "initializer", ()), *(held for node in part.node for held in tensors(node))):
            yield from (entry.value for entry in tensor.external_data if entry.key == "location")


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
