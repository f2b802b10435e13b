"""Products and tables of vectors whose weights alone are integers, a scale for each group of neighbours: ONNX Runtime's
MatMulNBits and GatherBlockQuantized.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
Its own quantizer passes over Gemm, which is what torch's exporter writes for a linear layer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.runtimes.onnxruntime.graphs import attribute, readers

REACHED = frozenset({"Gather", "Gemm", "MatMul"})
"""The operators whose weights are packed."""
TABLE = "GatherBlockQuantized"
_DOMAIN = "com.microsoft"
# Lets the product be computed on integers: what is multiplied with a group is rounded to 8 bits on the way. Without it,
# weights of 8 bits are unpacked at every inference: measured on a perceptron of 1024 x 1024, one example, 0.1x of
# float32's speed against 2x with it, at 40 dB in place of 45; of 4 bits, 2x to 3x against 9x, at no less.
_ACCURACY_LEVEL = 4
# By bits, the parts of a group's largest weight that are tried as the end of its scale: where that one is cut off, the
# others are stored more finely.
_ENDS = {8: [1.0], 4: [1 - step / 40 for step in range(13)]}


@dataclass
class Weight:
    """One that is packed. Each of its numbers is about a step times its scale."""

    rows: NDArray[Any]
    """Of the float32 model, [outputs, inner]."""
    steps: NDArray[np.int8]
    """[outputs, inner]."""
    scales: NDArray[np.float32]
    """[outputs, groups]."""
    group: int
    inputs: list[str] = field(default_factory=list)
    """What it is multiplied with; nothing where its rows are looked up."""

    @property
    def spread(self) -> NDArray[np.float32]:
        """Its scales, one for each number."""
        return self.scales.repeat(self.group, axis=1)[:, : self.rows.shape[1]]


def pack(
    model: Any,
    bits: int,
    group: int,
    wanted: Collection[str],
    left: dict[str, str],
    correct: Callable[[Mapping[str, Weight]], None] | None = None,
) -> None:
    """Store the constant weights of a graph's products, and tables whose rows are looked up, in so many bits, in place.
    A Gemm becomes a product and a sum.

    Args:
        group: how many neighbours along the inner size share a scale, a power of two from 16; the last ones of a row
            are filled up with zeros.
        wanted: the kinds of operator that are meant.
        left: by name, the nodes to leave in floating point, with the reason; what cannot be packed is added.
        correct: changes the steps of the rounded weights, before the graph is.
    """
    from onnx import helper, numpy_helper

    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    asked = [
        node
        for node in graph.node
        if node.op_type in wanted and node.name not in left and not _picks_apart(node, stored)
    ]
    for node in asked:
        if reason := _objection(node, stored, bits, group):
            left[node.name] = reason
    meant = [node for node in asked if node.name not in left]
    read, packing = readers(graph), Counter(map(_weight, meant))
    weights: dict[str, Weight] = {}
    for node in meant:
        name = _weight(node)
        if packing[name] < read[name]:
            left[node.name] = "its weight is read by something else too, and would be kept in both forms"
            continue
        if (part := _part(node)) not in weights:
            values = numpy_helper.to_array(stored[name])
            rows = values if _by_rows(node) else values.T
            weights[part] = Weight(rows, *nearest(rows, bits, group), group)
        if node.op_type != "Gather":
            weights[part].inputs.append(node.input[0])
    if not weights:
        return
    if correct is not None:
        correct(weights)
    meant = [node for node in meant if node.name not in left]
    named, names = {node.name for node in meant}, set(map(_weight, meant))
    nodes = [each for node in graph.node for each in _packed(node, node.name in named, weights, bits)]
    kept = [_copy(tensor) for tensor in graph.initializer if tensor.name not in names]
    for part, weight in weights.items():
        stored_as, scales = in_bytes(weight.steps, bits, group), weight.scales.reshape(-1)
        if not weight.inputs:  # a table is one row after the other, and nothing is filled up
            width = weight.rows.shape[1] * bits // 8
            stored_as, scales = stored_as.reshape(len(weight.rows), -1)[:, :width], weight.scales
        kept.append(numpy_helper.from_array(np.ascontiguousarray(stored_as), f"{part}/int{bits}"))
        kept.append(numpy_helper.from_array(scales, f"{part}/scales"))
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)
    if all(entry.domain != _DOMAIN for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))


def _packed(node: Any, packs: bool, weights: Mapping[str, Weight], bits: int) -> list[Any]:
    """A node, or those that stand in its place."""
    from onnx import helper

    if not packs:
        return [_copy(node)]
    part = _part(node)
    weight = weights[part]
    if node.op_type == "Gather":
        inputs = [f"{part}/int{bits}", node.input[1], f"{part}/scales"]
        along = {"gather_axis": 0, "quantize_axis": 1, "block_size": weight.group, "bits": bits}
        return [helper.make_node(TABLE, inputs, list(node.output), node.name, domain=_DOMAIN, **along)]
    about = {
        "K": weight.rows.shape[1],
        "N": weight.rows.shape[0],
        "bits": bits,
        "block_size": weight.group,
        "accuracy_level": _ACCURACY_LEVEL,
    }
    inputs = [node.input[0], f"{part}/int{bits}", f"{part}/scales"]
    bias, output = (*node.input, "")[2], node.output[0]
    product = f"{output}/product" if bias else output
    made = helper.make_node("MatMulNBits", inputs, [product], node.name, domain=_DOMAIN, **about)
    return [made, helper.make_node("Add", [product, bias], [output], f"{node.name}/bias")] if bias else [made]


def _part(node: Any) -> str:
    """What a weight is called as one product reads it, which may want it turned."""
    return f"{_weight(node)}/{'table' if node.op_type == 'Gather' else 'columns' if _by_rows(node) else 'rows'}"


def _weight(node: Any) -> str:
    return str(node.input[0 if node.op_type == "Gather" else 1])


def _by_rows(node: Any) -> bool:
    """Whether a weight lies as it is packed: [outputs, inner], or a table's [rows, inner]."""
    return node.op_type == "Gather" or bool(attribute(node, "transB", 0))


def _picks_apart(node: Any, stored: dict[str, Any]) -> bool:
    """Whether a Gather looks nothing up in a table of vectors: it picks sizes from a shape, or from activations."""
    from onnx import TensorProto

    if node.op_type != "Gather":
        return False
    table = stored.get(node.input[0])
    return table is None or table.data_type != TensorProto.FLOAT or len(table.dims) != 2


def nearest(rows: NDArray[Any], bits: int, group: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Weights rounded in groups, symmetric, and so that the end of the scale with a number more lies where a group's
    largest weight does; among `_ENDS`, the least squared error decides.

    Args:
        rows: [outputs, inner].

    Returns:
        steps [outputs, inner] and scales [outputs, groups].
    """
    outputs, inner = rows.shape
    padded = np.pad(rows, ((0, 0), (0, -inner % group))).astype(np.float32).reshape(outputs, -1, group)
    half = 2 ** (bits - 1)
    places = np.abs(padded).argmax(axis=2)[..., None]
    ends = np.take_along_axis(padded, places, axis=2)
    best = np.full(ends.shape, np.inf, np.float32)
    scales, integers = np.zeros_like(ends), np.zeros_like(padded)
    for part in _ENDS[bits]:
        scale = ends * np.float32(part / -half)
        steps = np.clip(np.rint(padded / np.where(scale == 0, 1, scale)), -half, half - 1)
        error = np.square(steps * scale - padded).sum(axis=2, keepdims=True)
        better = error < best
        best, scales = np.where(better, error, best), np.where(better, scale, scales)
        integers = np.where(better, steps, integers)
    return integers.reshape(outputs, -1)[:, :inner].astype(np.int8), scales[..., 0]


def in_bytes(steps: NDArray[np.int8], bits: int, group: int) -> NDArray[np.uint8]:
    """Steps as MatMulNBits reads them, each with 2^(bits-1) added: [outputs, groups, group x bits / 8], of four bits
    the first of a pair in the lower half."""
    outputs, inner = steps.shape
    padded = np.pad(steps, ((0, 0), (0, -inner % group))).reshape(outputs, -1, group)
    stored: NDArray[np.uint8] = (padded.astype(np.int16) + 2 ** (bits - 1)).astype(np.uint8)
    return stored if bits == 8 else stored[..., ::2] | np.left_shift(stored[..., 1::2], np.uint8(4))


def _objection(node: Any, stored: dict[str, Any], bits: int, group: int) -> str | None:
    """Why a product stays in floating point; None: it need not."""
    from onnx import TensorProto, numpy_helper

    weight = stored.get(_weight(node))
    if weight is None or weight.data_type != TensorProto.FLOAT:
        return "its right factor is no constant of 32-bit floating point"
    if len(weight.dims) != 2 or 0 in weight.dims:
        return f"its weight has shape {list(weight.dims)}, and a matrix is wanted"
    if attribute(node, "transA", 0):
        return "it transposes what it multiplies with its weight"
    if node.op_type == "Gather" and attribute(node, "axis", 0):
        return "it looks up columns"
    inner = weight.dims[1 if _by_rows(node) else 0]
    if node.op_type == "Gather" and inner * bits % 8:
        return f"its rows of {inner} fill no whole bytes"
    if -(-inner // group) * (group * bits // 8 + 4) >= inner * 4:
        return f"filled up to groups of {group}, its rows of {inner} would take no fewer bytes"
    if not np.isfinite(numpy_helper.to_array(weight)).all():
        return "its weight holds NaN or infinity"
    return None


def _copy(message: Any) -> Any:
    return type(message).FromString(message.SerializeToString())
