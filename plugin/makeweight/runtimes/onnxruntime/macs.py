"""Multiply-accumulates of a graph for one example, from its shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from makeweight.runtimes.onnxruntime import operators

Shape = tuple[int, ...]


class _Unknown(Exception):
    """A shape that inference did not find, or an operator whose cost is not known."""


def count(model: Any) -> int | None:
    """Multiply-accumulates of convolutions, products and recurrences for one example.

    The batch (the first size of every input, where it is free) is set to one; a fixed batch is divided out.
    None where shapes are not known well enough, and for operators whose cost does not follow from shapes.
    """
    import onnx

    model = _copy(model)
    batch = _set_batch(model)
    try:
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception:  # noqa: BLE001 - a figure that cannot be had is none, whatever the reason
        return None
    shapes = _shapes(model)
    try:
        total = sum(_node(node, shapes) for node in model.graph.node)
    except _Unknown:
        return None
    return total // batch


def _copy(model: Any) -> Any:
    import onnx

    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    return copied


def _set_batch(model: Any) -> int:
    """Set a free batch to one; the batch that is in force."""
    sizes = set()
    weights = {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.input:
        dims = value.type.tensor_type.shape.dim
        if value.name in weights or not dims:
            continue
        if not dims[0].HasField("dim_value"):
            dims[0].dim_value = 1
        sizes.add(dims[0].dim_value)
    for value in model.graph.output:  # declared with the free batch; inference finds them anew
        value.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    return max(1, sizes.pop()) if len(sizes) == 1 else 1


def _shapes(model: Any) -> dict[str, Shape | None]:
    shapes: dict[str, Shape | None] = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    for value in (*model.graph.input, *model.graph.value_info, *model.graph.output):
        if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
            continue
        dims = value.type.tensor_type.shape.dim
        fixed = all(dim.HasField("dim_value") for dim in dims)
        shapes[value.name] = tuple(dim.dim_value for dim in dims) if fixed else None
    for node in model.graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    shapes[node.output[0]] = tuple(attribute.t.dims)
    return shapes


def _node(node: Any, shapes: Mapping[str, Shape | None]) -> int:
    if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
        raise _Unknown  # a branch or a loop: how often it runs is known only when it does
    if node.op_type in _COST:

        def shape(name: str) -> Shape:
            found = shapes.get(name)
            if found is None:
                raise _Unknown
            return found

        return _COST[node.op_type](node, shape)
    if node.op_type in operators.FLOATING | operators.INTEGER:
        raise _Unknown
    return 0


Shaper = Callable[[str], Shape]


def _convolution(weight_at: int) -> Callable[[Any, Shaper], int]:
    def cost(node: Any, shape: Shaper) -> int:
        # a weight is [out, in / group, kernel...]: each output element sums over all but `out`
        return math.prod(shape(node.output[0])) * math.prod(shape(node.input[weight_at])[1:])

    return cost


def _transposed(node: Any, shape: Shaper) -> int:
    # a weight is [in, out / group, kernel...]: each input element is spread over all but `in`
    return math.prod(shape(node.input[0])) * math.prod(shape(node.input[1])[1:])


def _product(right_at: int) -> Callable[[Any, Shaper], int]:
    def cost(node: Any, shape: Shaper) -> int:
        # the right factor is mostly a weight, whose shape is known even where the left one's is not
        right = shape(node.input[right_at])
        return math.prod(shape(node.output[0])) * (right[-2] if len(right) > 1 else right[0])

    return cost


def _gemm(node: Any, shape: Shaper) -> int:
    transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return math.prod(shape(node.output[0])) * shape(node.input[1])[1 if transposed else 0]


def _recurrence(node: Any, shape: Shaper) -> int:
    # W is [directions, gates x hidden, input], R is [directions, gates x hidden, hidden]; X is [steps, batch, input]
    steps, batch = shape(node.input[0])[:2]
    return steps * batch * (math.prod(shape(node.input[1])) + math.prod(shape(node.input[2])))


_COST: dict[str, Callable[[Any, Shaper], int]] = {
    "Conv": _convolution(1),
    "FusedConv": _convolution(1),
    "ConvInteger": _convolution(1),
    "QLinearConv": _convolution(3),
    "ConvTranspose": _transposed,
    "MatMul": _product(1),
    "MatMulInteger": _product(1),
    "QLinearMatMul": _product(3),
    "Gemm": _gemm,
    "FusedGemm": _gemm,
    "LSTM": _recurrence,
    "GRU": _recurrence,
    "RNN": _recurrence,
}
