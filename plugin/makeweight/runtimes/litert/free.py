"""Sizes of a LiteRT file that may be chosen when it is run.

A file says which they are by a shape of its own, in which they are -1, and an interpreter resizes its inputs. All
operators but one then follow; RESHAPE is told its result's shape by a constant, in which one size may be left to
follow from the others. https://ai.google.dev/edge/litert/inference#run-inference
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.artifact.ports import Shape
from makeweight.runtimes.litert import graph

_FREE = -1


def mark(model: Any, letter: str, inputs: Mapping[str, Shape], wanted: Mapping[str, NDArray[Any]]) -> None:
    """Say that a size is free, in those inputs that have it and in the outputs that differ by it.

    Args:
        wanted: the module's outputs where it is another than the file's own.
    """
    signature, tensors = model.signatureDefs[0], model.subgraphs[0].tensors
    for port in signature.inputs:
        sizes = enumerate(inputs[graph.text(port.name)])
        _mark(tensors[port.tensorIndex], [axis for axis, size in sizes if size == letter])
    for port in signature.outputs:
        tensor = tensors[port.tensorIndex]
        pairs = enumerate(zip(graph.sizes(tensor), wanted[graph.text(port.name)].shape, strict=True))
        _mark(tensor, [axis for axis, (own, other) in pairs if own != other])


def _mark(tensor: Any, axes: list[int]) -> None:
    if axes:
        shape = list(graph.sizes(tensor)) if tensor.shapeSignature is None else list(tensor.shapeSignature)
        tensor.shapeSignature = [_FREE if axis in axes else int(size) for axis, size in enumerate(shape)]


def reshape(model: Any) -> None:
    """Let the first size of what is reshaped follow from the others: in the file's own sizes that is no change."""
    for each, node in graph.nodes(model):
        if graph.operator(model, node) != "RESHAPE" or len(node.inputs) < 2:
            continue
        shape = each.tensors[node.inputs[1]]
        if not graph.constant(model, shape):
            continue
        sizes = np.frombuffer(bytes(model.buffers[shape.buffer].data), np.int32).copy()
        if sizes.size and (sizes > 0).all():
            sizes[0] = _FREE
            node.inputs[1] = _constant(model, each, shape, sizes)


def _constant(model: Any, each: Any, like: Any, values: NDArray[Any]) -> int:
    """The place of a tensor of these values, which differs from another by them alone; it may be there already."""
    from ai_edge_litert import schema_py_generated as schema

    name = f"reshape({','.join(map(str, values))})".encode()
    for index, tensor in enumerate(each.tensors):
        if tensor.name == name:
            return index
    buffer, tensor = schema.BufferT(), schema.TensorT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    tensor.shape, tensor.type, tensor.name, tensor.buffer = [len(values)], like.type, name, len(model.buffers)
    model.buffers.append(buffer)
    each.tensors.append(tensor)
    return len(each.tensors) - 1
