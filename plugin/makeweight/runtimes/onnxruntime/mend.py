"""What ONNX Runtime's quantizer gets wrong, put right in the graph before it reads it, or kept from it with a reason.

It loses the scale factors of Gemm, takes a bias of any shape for a row, quantizes a weight once for readers that want
it along other axes, and tells nodes apart by names that they need not have. Nothing here changes what a graph computes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from makeweight.runtimes.onnxruntime.constants import Constants
from makeweight.runtimes.onnxruntime.graphs import attribute, makers, name_nodes

# What gives probabilities, where a step of 1/255 is all that a small one has.
_PROBABILITIES = frozenset({"Sigmoid", "Softmax"})
BIASED = frozenset({"Conv", "ConvTranspose", "Gemm"})
"""What has a bias, always its third input."""
# At which inputs a node gets a constant of its own: a bias has the scale of what its reader multiplies; and where two
# normalizations share their factors in signed bytes, ONNX Runtime opens no file in which it is to multiply exactly
# (`session.x64quantprecision`), as it makes them unsigned for each.
_OWN: Mapping[str, tuple[int, ...]] = {**dict.fromkeys(BIASED, (2,)), "LayerNormalization": (1, 2)}
CLIPPING = frozenset({"Clip", "Relu"})
"""What the quantizer leaves out, giving what it reads the range of what it gives."""
# What passes numbers on and computes nothing.
_PASSING = frozenset(
    {"Cast", "Concat", "Expand", "Flatten", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"}
)
# What a mask is put together with on its way into a Softmax.
_MASKING = _PASSING | {"Add", "Mul", "Sub", "Where"}
# Scores lie far above this; what is added to shut a position out lies below.
_SHUT = -1e3


@dataclass
class Mended:
    """What the quantizer is to be told of a mended graph."""

    by_tensor: dict[str, bool] = field(default_factory=dict)
    """Constants that cannot have a scale by channel; True where something reads them as it reads activations."""
    left: dict[str, str] = field(default_factory=dict)
    """By name, the nodes to leave in floating point, with the reason."""


def mend(model: Any, *, activations: bool = True) -> Mended:
    """Put a graph right in place.

    Args:
        activations: whether these become integers too.
    """
    graph, found = model.graph, Mended()
    name_nodes(graph)
    constants = Constants(graph)
    for node in graph.node:
        if node.op_type == "Gemm" and (reason := _fold(node, constants)):
            found.left[node.name] = reason
        for at in _OWN.get(node.op_type, ()):
            name = node.input[at] if at < len(node.input) else ""
            if name in constants and constants.readers[name] > 1:
                constants.give(node, at, constants[name])
    found.by_tensor = dict(sorted(_by_tensor(graph, constants)))
    if not activations:
        return found
    shown = _shown_elsewhere(graph, constants)
    for node in graph.node:
        if node.op_type in CLIPPING and node.input[0] in shown:
            found.left[node.name] = "what it clips is an output too, which would be clipped with it"
    for node in _last(graph):
        if node.op_type in _PROBABILITIES:
            found.left[node.name] = "it gives the model's own output, whose small numbers would become zero"
    return found


def masks(model: Any, ranges: Mapping[str, tuple[float, float]]) -> dict[str, str]:
    """Each Softmax some of whose scores are shut out by something hugely negative, and what makes and adds that: in
    eight bits over such a range all other scores would be the same.

    Args:
        ranges: lowest and highest value by tensor.

    Returns:
        By name, the nodes to leave in floating point, with the reason.
    """
    making, constants = makers(model.graph), Constants(model.graph)
    left: dict[str, str] = {}

    def shuts(name: str) -> bool:
        lowest = ranges[name][0] if name in ranges else float(constants[name].min()) if name in constants else 0.0
        return lowest < _SHUT

    for softmax in model.graph.node:
        if softmax.op_type != "Softmax" or not shuts(softmax.input[0]):
            continue
        left[softmax.name] = "its scores are masked"
        waiting = [softmax.input[0]]
        while waiting:
            maker = making.get(waiting.pop())
            if maker is not None and maker.op_type in _MASKING and maker.name not in left:
                left[maker.name] = "it makes or adds a mask"
                waiting += filter(shuts, maker.input)
    return left


def _fold(gemm: Any, constants: Constants) -> str | None:
    """Fold a Gemm's factors into its constants, and make its bias a row; else why that cannot be."""
    alpha, beta = attribute(gemm, "alpha", 1.0), attribute(gemm, "beta", 1.0)
    _, factor, bias = (*gemm.input, "")[:3]
    if alpha != 1 and factor not in constants:
        return "it scales a product of two activations"
    if bias and beta != 1 and bias not in constants:
        return "it scales a bias that is no constant"
    if bias in constants:
        row = constants[bias]
        columns = (
            constants.shape(factor)[-2 if attribute(gemm, "transB", 0) else -1] if factor in constants else row.size
        )
        if row.size not in (1, columns) or row.shape[-1:] not in ((), (row.size,)):
            return "its bias is no single row"
        if beta != 1 or row.shape != (columns,):
            constants.give(
                gemm, 2, np.ascontiguousarray(np.broadcast_to(row.reshape(-1), (columns,)) * np.float32(beta))
            )
    if alpha != 1:
        constants.give(gemm, 1, constants[factor] * np.float32(alpha))
    if (alpha, beta) != (1, 1):
        kept = [each for each in gemm.attribute if each.name not in ("alpha", "beta")]
        del gemm.attribute[:]
        gemm.attribute.extend(kept)
    return None


def _by_tensor(graph: Any, constants: Constants) -> Iterator[tuple[str, bool]]:
    """Constants whose readers want them along different axes, or along none that the runtime's kernels know; and
    whether one of them takes the constant for an activation."""
    wanted: dict[str, set[int | None]] = {}
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name in constants and constants.shape(name):
                wanted.setdefault(name, set()).add(output_axis(node, index, len(constants.shape(name))))
    for name, axes in wanted.items():
        weighing = [_weighs(node, name) for node in graph.node if name in node.input]
        if any(weighing) and (len(axes) > 1 or axes == {None}):
            yield name, not all(weighing)


def output_axis(node: Any, index: int, rank: int) -> int | None:
    """Along which axis of a constant a reader's channels lie; None: it has none."""
    if node.op_type == "Conv" and index == 1:
        return 0
    if node.op_type == "ConvTranspose" and index == 1 and attribute(node, "group", 1) == 1:
        return 1
    if node.op_type == "Gemm" and index == 1:
        return 0 if attribute(node, "transB", 0) else 1
    if node.op_type == "MatMul" and index == 1 and rank == 2:
        return 1
    return None


def _weighs(node: Any, name: str) -> bool:
    """Whether it is a factor there, and not something that is added or picked from."""
    return node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul") and name in node.input[:2]


def _shown_elsewhere(graph: Any, constants: Constants) -> set[str]:
    """What is read outside the nodes of this very graph: as an output, or by a graph within."""
    read = Counter(name for node in graph.node for name in node.input)
    return {name for name, count in constants.readers.items() if count > read[name]}


def _last(graph: Any) -> Iterator[Any]:
    """What gives the graph's outputs, apart from what only passes them on."""
    making = makers(graph)
    for value in graph.output:
        node = making.get(value.name)
        while node is not None and node.op_type in _PASSING:
            node = making.get(node.input[0])
        if node is not None:
            yield node
