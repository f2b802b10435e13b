"""Where the bytes and the multiply-accumulates of an ONNX file are, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from makeweight.artifact.ports import Shapes
from makeweight.runtimes.onnxruntime import macs, operators
from makeweight.runtimes.onnxruntime.graphs import called, constants, graphs, name_nodes
from makeweight.runtimes.runtime import LayerFacts, LayerKind

_KINDS: Mapping[str, LayerKind] = {
    **dict.fromkeys(
        ("Conv", "ConvInteger", "ConvTranspose", "DeformConv", "FusedConv", "QLinearConv", "QLinearConvTranspose"),
        "convolution",
    ),
    **dict.fromkeys(("GRU", "LSTM", "RNN", "DynamicQuantizeLSTM"), "recurrence"),
    **dict.fromkeys(("Gather", *operators.TABLES), "table"),
}
# What only hands a weight on, in another shape or other numbers.
_HANDING_ON = frozenset({"Cast", "DequantizeLinear", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
# The types of numbers that ONNX packs several of in a byte.
_PACKED = {"INT4": 2, "UINT4": 2, "FLOAT4E2M1": 2, "INT2": 4, "UINT2": 4}


def layers(model: Any, asked: Sequence[Shapes] = ()) -> tuple[LayerFacts, ...]:
    """The layers that read weights, in the order of the graph.

    Args:
        asked: the inputs' shapes of inferences that it is measured with; multiply-accumulates are those of the first.
    """
    name_nodes(model.graph)
    costs = macs.by_node(model, asked[0] if asked else None)
    stored = {name: _bytes(tensor) for name, tensor in _tensors(model)}
    readers: dict[str, Any] = {}
    for part in graphs(model.graph):
        for node in part.node:
            for name in node.input:
                readers.setdefault(name, node)
    own: dict[str, list[str]] = {}
    for name in stored:
        if (reader := _reader(name, readers)) is not None:
            own.setdefault(reader.output[0], []).append(name)
    told = []
    for part in graphs(model.graph):
        for node in part.node:
            weights = own.get(node.output[0], [])
            size, cost = sum(stored[name] for name in weights), None if costs is None else costs.get(node.name, 0)
            if size or cost:
                # by the module whose weight it is, as recipes name it
                told.append(LayerFacts(called(node, set(weights))[0], _kind(node), size, cost))
    return tuple(told)


def _tensors(model: Any) -> Iterator[tuple[str, Any]]:
    for part in graphs(model.graph):
        yield from ((each.name, each) for each in part.initializer)
        yield from constants(part)


def _bytes(tensor: Any) -> int:
    from onnx import TensorProto, helper

    kind = TensorProto.DataType.Name(tensor.data_type)
    if kind == "STRING":
        return sum(len(text) for text in tensor.string_data)
    count = int(math.prod(tensor.dims))
    if kind in _PACKED:
        return -(-count // _PACKED[kind])
    return count * int(helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)


def _reader(name: str, readers: Mapping[str, Any]) -> Any:
    """The node that a weight is for; None where nothing reads it."""
    node = readers.get(name)
    # the shape that a node gives a weight is none; graphs have no cycles
    while node is not None and node.op_type in _HANDING_ON and node.input[0] == name:
        name = node.output[0]
        behind = readers.get(name)
        if behind is None:
            break
        node = behind
    return node


def _kind(node: Any) -> LayerKind:
    if node.op_type in _KINDS:
        return _KINDS[node.op_type]
    return "product" if node.op_type in operators.FLOATING | operators.INTEGER else "other"
