"""Multiply-accumulates of a graph for one example, from its shapes and those it is asked with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from makeweight.artifact.ports import Shapes
from makeweight.runtimes.asked import mean
from makeweight.runtimes.onnxruntime import operators
from makeweight.runtimes.onnxruntime.aside import put_aside
from makeweight.runtimes.onnxruntime.graphs import attribute, constants, inner

# How ONNX's own domain is written, and those whose operators are what they are called.
_OWN = ("", "ai.onnx")
_SAME = (*_OWN, "com.microsoft")


class _Unknown(Exception):
    """An operator whose cost is not known."""


def count(model: Any, asked: Sequence[Shapes] = (), examples: int = 1) -> int | None:
    """Multiply-accumulates of convolutions, products and recurrences for one example.

    None where shapes are not known well enough, and for operators whose cost does not follow from shapes or that are
    of somebody's own domain.

    Args:
        asked: the inputs' shapes of each inference, over which the figure is a mean. Without them, the batch (the first
            size of every input) is set to one where it is free, else divided out, and no other size may be free.
        examples: how many there are in these inferences together.
    """
    bare = _without_weights(model)
    _name_alike(bare)
    if not asked:
        batch = _set_batch(bare)
        total = _total(bare)
        return None if total is None else total // batch
    return mean(asked, examples, lambda shapes: _total(_sized(bare, shapes)))


def by_node(model: Any, shapes: Shapes | None = None) -> dict[str, int] | None:
    """Those of each node that multiplies, by its name, of one inference; None where they are not known.

    Args:
        model: in which every node has a name of its own.
        shapes: the inputs' in that inference; None: as the graph declares them, a free batch set to one.
    """
    bare = _without_weights(model)
    _name_alike(bare)
    if shapes is None:
        _set_batch(bare)
    costs = _costs(bare if shapes is None else _sized(bare, shapes))
    return None if costs is None else {node.name: cost for node, cost in zip(bare.graph.node, costs, strict=True)}


def _without_weights(model: Any) -> Any:
    """A copy to be changed, in which large weights are told of and not there, since inference would copy them."""
    bare = deepcopy(model)
    put_aside(bare)
    return bare


def _name_alike(model: Any) -> None:
    """Name what ONNX does not know, and so does not infer, as what it is but for the numbers it computes with."""
    import onnx

    for node in model.graph.node:
        if node.op_type == "DynamicQuantizeLSTM" and node.domain == "com.microsoft":
            node.op_type, node.domain = "LSTM", ""
            del node.input[8:]  # scales and zero points
        if node.op_type == "MatMulNBits" and node.domain == "com.microsoft":
            sizes = {each.name: each.i for each in node.attribute}
            whole = _whole(model, node.input[1], [sizes["K"], sizes["N"]])
            node.CopyFrom(onnx.helper.make_node("MatMul", [node.input[0], whole], list(node.output), node.name))
        if node.op_type in operators.TABLES and node.domain == "com.microsoft":
            table = next((tensor for tensor in model.graph.initializer if tensor.name == node.input[0]), None)
            if table is None:
                continue
            whole = _whole(model, node.input[0], [*table.dims[:-1], table.dims[-1] * operators.in_a_byte(node, table)])
            axis = attribute(node, "gather_axis", 0)
            inputs = [whole, node.input[1]]
            node.CopyFrom(onnx.helper.make_node("Gather", inputs, list(node.output), node.name, axis=axis))


def _whole(model: Any, packed: str, sizes: Sequence[int]) -> str:
    """The name of a weight in float, told of and not there, in place of a packed one."""
    import onnx

    whole = onnx.TensorProto(name=f"{packed}/whole", data_type=onnx.TensorProto.FLOAT, dims=sizes)
    whole.data_location = onnx.TensorProto.EXTERNAL
    if all(tensor.name != whole.name for tensor in model.graph.initializer):
        model.graph.initializer.append(whole)
    return str(whole.name)


def _total(model: Any) -> int | None:
    """Of one inference, at the sizes that the inputs have."""
    costs = _costs(model)
    return None if costs is None else sum(costs)


def _costs(model: Any) -> list[int] | None:
    """Of each node in one inference, at the sizes that the inputs have."""
    import onnx

    for value in model.graph.output:  # declared with the free sizes; inference finds them anew
        value.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    try:
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception:  # noqa: BLE001 - a figure that cannot be had is none, whatever the reason
        return None
    shapes = _shapes(model)
    try:
        return [_node(node, shapes) for node in model.graph.node]
    except (_Unknown, KeyError):  # a shape that inference did not find is no key
        return None


def _sized(model: Any, shapes: Shapes) -> Any:
    """A copy whose inputs have these shapes."""
    sized = deepcopy(model)
    for value in sized.graph.input:
        if value.name in shapes:
            dims = value.type.tensor_type.shape.dim
            del dims[:]  # which may be none, where the file does not say how many there are
            for size in shapes[value.name]:
                dims.add().dim_value = size
    return sized


def _set_batch(model: Any) -> int:
    """Set a free batch to one; the batch that is in force."""
    sizes = set()
    weights = {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.input:
        dims = value.type.tensor_type.shape.dim
        if value.name in weights or not dims:
            continue
        for dim in dims:
            if dim.HasField("dim_value") and dim.dim_value <= 0:  # as some exporters write that it is free
                dim.ClearField("dim_value")
        if not dims[0].HasField("dim_value"):
            dims[0].dim_value = 1
        sizes.add(dims[0].dim_value)
    return max(1, sizes.pop()) if len(sizes) == 1 else 1


def _shapes(model: Any) -> Shapes:
    """Of its tensors, as far as they are known and fixed."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    for value in (*model.graph.input, *model.graph.value_info, *model.graph.output):
        dims = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(dim.HasField("dim_value") for dim in dims):
            shapes[value.name] = tuple(dim.dim_value for dim in dims)
    return shapes | {name: tuple(tensor.dims) for name, tensor in constants(model.graph)}


def _node(node: Any, shapes: Shapes) -> int:
    if any(inner(node)):
        raise _Unknown  # a branch or a loop: how often it runs is known only when it does
    if node.op_type in _COST and node.domain in _SAME:
        cost, at = _COST[node.op_type]
        return cost(node, shapes, at)
    multiplies = node.op_type in operators.FLOATING | operators.INTEGER
    costless = not multiplies if node.domain in _OWN else node.op_type in operators.COSTLESS.get(node.domain, ())
    if not costless:
        raise _Unknown
    return 0


def _convolution(node: Any, shapes: Shapes, at: int) -> int:
    # a weight is [out, in / group, kernel...]: each output element sums over all but `out`
    return math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[at]][1:])


def _transposed(node: Any, shapes: Shapes, at: int) -> int:
    # a weight is [in, out / group, kernel...]: each input element is spread over all but `in`
    return math.prod(shapes[node.input[0]]) * math.prod(shapes[node.input[at]][1:])


def _product(node: Any, shapes: Shapes, at: int) -> int:
    # the right factor is mostly a weight, whose shape is known even where the left one's is not
    right = shapes[node.input[at]]
    return math.prod(shapes[node.output[0]]) * (right[-2] if len(right) > 1 else right[0])


def _gemm(node: Any, shapes: Shapes, at: int) -> int:
    return math.prod(shapes[node.output[0]]) * shapes[node.input[at]][1 if attribute(node, "transB", 0) else 0]


def _recurrence(node: Any, shapes: Shapes, at: int) -> int:
    # W is [directions, gates x hidden, input], R is [directions, gates x hidden, hidden], on integers both transposed;
    # X is [steps, batch, input]
    steps, batch = shapes[node.input[0]][:2]
    return steps * batch * sum(math.prod(shapes[name]) for name in node.input[at : at + 2])


_COST: Mapping[str, tuple[Callable[[Any, Shapes, int], int], int]] = {
    **dict.fromkeys(("Conv", "FusedConv", "ConvInteger"), (_convolution, 1)),
    "QLinearConv": (_convolution, 3),
    "ConvTranspose": (_transposed, 1),
    **dict.fromkeys(("MatMul", "MatMulInteger"), (_product, 1)),
    "QLinearMatMul": (_product, 3),
    **dict.fromkeys(("Gemm", "FusedGemm"), (_gemm, 1)),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), (_recurrence, 1)),
}
"""What an operator costs, and at which of its inputs the weight lies."""
