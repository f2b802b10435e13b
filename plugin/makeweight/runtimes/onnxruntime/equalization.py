"""Cross-layer equalization: the channels between two layers rescaled until both layers' weights have like ranges.

What is between a layer and the next may only be such that scaling a channel of what it reads, by a positive factor,
scales that channel of what it gives: then the first layer's channel is divided by the factor and the second's reads
multiplied, and the answers stay. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
Correction", 2019, https://arxiv.org/abs/1906.04721. It is done on the graph, after normalizations were folded into the
weights, so that a file whose source nobody has gains by it as well.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.runtimes.onnxruntime.constants import Constants
from makeweight.runtimes.onnxruntime.graphs import attribute
from makeweight.runtimes.onnxruntime.mend import output_axis
from makeweight.runtimes.runtime import RecipeFailed

_FROM, _TO = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"}), frozenset({"Conv", "Gemm", "MatMul"})
# Of its first input, each channel by itself, and positive factors go through.
_HOMOGENEOUS = frozenset({"Identity", "LeakyRelu", "PRelu", "Relu"})
# The same where the channels are the second axis of a picture.
_POOLING = frozenset({"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"})
_FLATTENING = frozenset({"Flatten", "Reshape", "Squeeze"})
# A channel whose largest weight is so small a part of its layer's is as good as none: its factor would only blow up
# what its bias gives.
_DEAD = 1e-6
# Factors change each other where layers follow on each other; so many times at most each pair is looked at again.
_ROUNDS, _SETTLED = 50, 1e-3


@dataclass(frozen=True)
class _Pair:
    first: Any
    second: Any
    bias: tuple[Any, int] | None
    """The node that adds the first layer's bias, and which of its inputs that is."""

    @property
    def changed(self) -> list[tuple[Any, int]]:
        """The inputs of nodes that are rescaled."""
        return [(self.first, 1), (self.second, 1), *([] if self.bias is None else [self.bias])]


def equalize(graph: Any, left: Collection[str]) -> dict[str, Any]:
    """Equalize every two layers of a mended graph that allow it, in place.

    Args:
        left: by name, the nodes that stay in floating point, which need none of it.

    Returns:
        for the manifest: the pairs, and what stands in the way behind the other layers.

    Raises:
        RecipeFailed: there is no such pair.
    """
    constants, pairs, others = Constants(graph), list[_Pair](), dict[str, list[str]]()
    path = _Path(graph, constants, left)
    for node in graph.node:
        if node.op_type in _FROM and node.name not in left:
            found = path.behind(node)
            if isinstance(found, _Pair):
                pairs.append(found)
            else:
                others.setdefault(found, []).append(f"{node.op_type} {node.name}")
    if not pairs:
        raise RecipeFailed(
            "quantize: `equalize` finds no two layers of which one reads what the other gives, through such as Relu "
            f"alone ({'; '.join(f'{reason}: {len(names)}' for reason, names in others.items())}); drop it"
        )
    values = {
        (node.name, index): constants[node.input[index]].astype(np.float64)
        for pair in pairs
        for node, index in pair.changed
    }
    for _ in range(_ROUNDS):
        if max(_balance(pair, values) for pair in pairs) < _SETTLED:
            break
    nodes = {node.name: node for pair in pairs for node, _ in pair.changed}
    for (name, index), changed in values.items():
        constants.give(nodes[name], index, np.ascontiguousarray(changed, np.float32))
    told: dict[str, Any] = {"equalized": [f"{pair.first.name} with {pair.second.name}" for pair in pairs]}
    return told | ({"not equalized": others} if others else {})


class _Path:
    """The ways from a layer to the next."""

    def __init__(self, graph: Any, constants: Constants, left: Collection[str]) -> None:
        self._constants, self._left = constants, left
        self._reading = {name: node for node in graph.node for name in node.input}
        values = (*graph.value_info, *graph.input, *graph.output)
        self._shapes = {value.name: _shape(value) for value in values}
        self._integers = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == 7}

    def behind(self, first: Any) -> _Pair | str:
        """The pair that a layer is the first of, or why it is of none."""
        constants = self._constants
        if (reason := self._objection(first)) is not None:
            return reason
        weight = constants.shape(first.input[1])
        axis = output_axis(first, 1, len(weight))
        if axis is None or attribute(first, "transA", 0):
            return "its channels lie along no one axis of its weight"
        channels = weight[axis]
        bias = (first, 2) if len(first.input) > 2 and first.input[2] else None
        if bias and first.input[2] not in constants:
            return "its bias is no constant"
        flat, name = first.op_type in ("Gemm", "MatMul"), first.output[0]
        while True:
            node = self._reading.get(name)
            if constants.readers[name] != 1 or node is None:
                return "what it gives is read more than once" if node else "it gives an output of the model"
            kind = node.op_type
            if kind in _TO and node.input[0] == name:
                return self._pair(first, node, bias, flat, channels)
            if kind == "Add" and first.op_type == "MatMul" and bias is None and name == first.output[0]:
                other = 1 - list(node.input).index(name)
                if node.input[other] not in constants or constants.shape(node.input[other]) != (channels,):
                    return "something else is added to what it gives"
                bias = (node, other)
            elif kind in _FLATTENING and not flat and self._flattens(node):
                flat = True
            elif not (
                (kind in _HOMOGENEOUS and node.input[0] == name)
                or (kind in _POOLING and not flat and len(node.output) == 1)
                or (kind == "ReduceMean" and not flat and self._averages(node))
            ):
                bounds = ", whose bounds would have to be others for each channel" if kind == "Clip" else ""
                return f"{kind} stands behind it{bounds}"
            elif kind == "ReduceMean":
                flat = not attribute(node, "keepdims", 1)
            name = node.output[0]

    def _pair(self, first: Any, second: Any, bias: tuple[Any, int] | None, flat: bool, channels: int) -> _Pair | str:
        if second.name in self._left:
            return "the next layer stays in floating point"
        if (reason := self._objection(second)) is not None:
            return f"of the next layer, {reason}"
        weight = self._constants.shape(second.input[1])
        if (second.op_type != "Conv") != flat or attribute(second, "transA", 0):
            return "the next layer reads its channels along another axis"
        inner = len(_by_input(second, self._constants[second.input[1]]))
        if inner % channels or (inner != channels and second.op_type == "Conv"):
            return f"the next layer's weight, {list(weight)}, does not divide into its {channels} channels"
        return _Pair(first, second, bias)

    def _objection(self, node: Any) -> str | None:
        name = node.input[1]
        if name not in self._constants:
            return "its weight is no constant of 32-bit floating point"
        if self._constants.readers[name] > 1:
            return "its weight is read by something else too"
        if node.op_type == "MatMul" and len(self._constants.shape(name)) != 2:
            return "its weight is no matrix"
        return None

    def _flattens(self, node: Any) -> bool:
        """Whether the channels and what is in each become one row, channel after channel."""
        before, after = self._shapes.get(node.input[0]), self._shapes.get(node.output[0])
        if not before or not after or len(before) < 3 or len(after) != 2 or None in before[1:]:
            return False
        return after[1] == math.prod(size or 0 for size in before[1:])

    def _averages(self, node: Any) -> bool:
        """Whether what is in each channel becomes one number."""
        from onnx import numpy_helper

        shape, axes = self._shapes.get(node.input[0]), attribute(node, "axes", None)
        if axes is None and len(node.input) > 1 and node.input[1] in self._integers:
            axes = numpy_helper.to_array(self._integers[node.input[1]]).tolist()
        if not shape or not axes:
            return False
        return {axis % len(shape) for axis in axes} == set(range(2, len(shape)))


def _shape(value: Any) -> list[int | None]:
    return [size.dim_value if size.HasField("dim_value") else None for size in value.type.tensor_type.shape.dim]


def _balance(pair: _Pair, values: dict[tuple[str, int], NDArray[np.float64]]) -> float:
    """Give both layers of a pair the same range by channel, the geometric mean of the two; how far from 1 the factors
    were, as a logarithm.

    Args:
        values: by a node's name and the input at which it reads them; changed.
    """
    first, second = values[pair.first.name, 1], values[pair.second.name, 1]
    axis = output_axis(pair.first, 1, first.ndim)
    rows = np.moveaxis(first, axis or 0, 0)
    columns = _by_input(pair.second, second)
    grouped = columns.reshape(len(rows), -1)
    ours, theirs = np.abs(rows).reshape(len(rows), -1).max(axis=1), np.abs(grouped).max(axis=1)
    with np.errstate(all="ignore"):
        alive = (ours > _DEAD * ours.max()) & (theirs > _DEAD * theirs.max()) & np.isfinite(ours * theirs)
        factors = np.where(alive, np.sqrt(ours / theirs), 1.0)
    by_row = factors.reshape(-1, *[1] * (rows.ndim - 1))
    values[pair.first.name, 1] = np.moveaxis(rows / by_row, 0, axis or 0)
    wide = (grouped * factors[:, None]).reshape(columns.shape)
    values[pair.second.name, 1] = _back(pair.second, wide, second.shape)
    if pair.bias is not None:
        node, index = pair.bias
        values[node.name, index] = values[node.name, index] / factors
    return float(np.abs(np.log(factors)).max())


def _by_input(node: Any, weight: NDArray[Any]) -> NDArray[Any]:
    """A weight by what it is multiplied with: [inputs, rest]. An input of a grouped convolution is of one group."""
    if node.op_type == "Conv":
        groups = attribute(node, "group", 1)
        # groups, outputs of one, inputs of one, places
        parts = weight.reshape(groups, weight.shape[0] // groups, weight.shape[1], -1)
        return parts.swapaxes(1, 2).reshape(groups * weight.shape[1], -1)
    return weight.T if attribute(node, "transB", 0) else weight


def _back(node: Any, columns: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """The inverse of `_by_input`."""
    if node.op_type == "Conv":
        groups = attribute(node, "group", 1)
        return columns.reshape(groups, shape[1], shape[0] // groups, -1).swapaxes(1, 2).reshape(shape)
    return columns.T if attribute(node, "transB", 0) else columns
