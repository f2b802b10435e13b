"""Products whose weights alone are integers, a scale for each group of neighbours: ONNX Runtime's MatMulNBits.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MatMulNBits
Its own quantizer passes over Gemm, which is what torch's exporter writes for a linear layer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.runtimes.onnxruntime.graphs import attribute, readers

REACHED = frozenset({"Gemm", "MatMul"})
"""The operators whose weights are packed."""
_DOMAIN = "com.microsoft"
# Lets the product be computed on integers: what is multiplied with a group is rounded to 8 bits on the way. Without it,
# weights of 8 bits are unpacked at every inference: measured on a perceptron of 1024 x 1024, one example, 0.1x of
# float32's speed against 2x with it, at 40 dB in place of 45; of 4 bits, 2x to 3x against 9x, at no less.
_ACCURACY_LEVEL = 4
# By bits, the parts of a group's largest weight that are tried as the end of its scale: where that one is cut off, the
# others are stored more finely.
_ENDS = {8: [1.0], 4: [1 - step / 40 for step in range(13)]}


def pack(model: Any, bits: int, group: int, wanted: Collection[str], left: dict[str, str]) -> None:
    """Store the constant weights of a graph's products in so many bits, in place. A Gemm becomes a product and a sum.

    Args:
        group: how many neighbours along the inner size share a scale, a power of two from 16; the last ones of a row
            are filled up with zeros.
        wanted: the kinds of operator that are meant.
        left: by name, the nodes to leave in floating point, with the reason; what cannot be packed is added.
    """
    from onnx import helper, numpy_helper

    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type in wanted and node.name not in left and (reason := _objection(node, stored, bits, group)):
            left[node.name] = reason
    read = readers(graph)
    meant = [node for node in graph.node if node.op_type in wanted and node.name not in left]
    packing = Counter(node.input[1] for node in meant)
    nodes, packed, names = [], dict[str, list[Any]](), set[str]()
    for node in map(_copy, graph.node):
        name = node.input[1] if node.op_type in wanted and node.name not in left else ""
        if name and packing[name] < read[name]:
            left[node.name] = "its weight is read by something else too, and would be kept in both forms"
        if not name or node.name in left:
            nodes.append(node)
            continue
        values = numpy_helper.to_array(stored[name])
        rows = values if attribute(node, "transB", 0) else values.T
        part = f"{name}/columns" if rows is values else f"{name}/rows"
        if part not in packed:
            indices, scales = grouped(rows, bits, group)
            packed[part] = [
                numpy_helper.from_array(indices, f"{part}/int{bits}"),
                numpy_helper.from_array(scales.reshape(-1), f"{part}/scales"),
            ]
            names.add(name)
        inputs = [node.input[0], *(tensor.name for tensor in packed[part])]
        about = {
            "K": rows.shape[1],
            "N": rows.shape[0],
            "bits": bits,
            "block_size": group,
            "accuracy_level": _ACCURACY_LEVEL,
        }
        bias, output = (*node.input, "")[2], node.output[0]
        product = f"{output}/product" if bias else output
        nodes.append(helper.make_node("MatMulNBits", inputs, [product], node.name, domain=_DOMAIN, **about))
        if bias:
            nodes.append(helper.make_node("Add", [product, bias], [output], f"{node.name}/bias"))
    if not packed:
        return
    kept = [_copy(tensor) for tensor in graph.initializer if tensor.name not in names]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*kept, *(tensor for pair in packed.values() for tensor in pair)])
    if all(entry.domain != _DOMAIN for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))


def grouped(rows: NDArray[Any], bits: int, group: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Weights in groups as MatMulNBits reads them, symmetric: a weight is (stored - 2^(bits-1)) x scale. The end of the
    scale with a number more lies where a group's largest weight does; among `_ENDS`, the least squared error decides.

    Args:
        rows: [outputs, inner].

    Returns:
        bytes [outputs, groups, group x bits / 8], of four bits the first of a pair in the lower half, and the scales
        [outputs, groups].
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
    stored = (integers + half).astype(np.uint8)
    return stored if bits == 8 else stored[..., ::2] | stored[..., 1::2] << 4, scales[..., 0]


def _objection(node: Any, stored: dict[str, Any], bits: int, group: int) -> str | None:
    """Why a product stays in floating point; None: it need not."""
    from onnx import TensorProto, numpy_helper

    weight = stored.get(node.input[1])
    if weight is None or weight.data_type != TensorProto.FLOAT:
        return "its right factor is no constant of 32-bit floating point"
    if len(weight.dims) != 2 or 0 in weight.dims:
        return f"its weight has shape {list(weight.dims)}, and a matrix is wanted"
    if attribute(node, "transA", 0):
        return "it transposes what it multiplies with its weight"
    inner = weight.dims[1 if attribute(node, "transB", 0) else 0]
    if -(-inner // group) * (group * bits // 8 + 4) >= inner * 4:
        return f"filled up to groups of {group}, its rows of {inner} would take no fewer bytes"
    if not np.isfinite(numpy_helper.to_array(weight)).all():
        return "its weight holds NaN or infinity"
    return None


def _copy(message: Any) -> Any:
    return type(message).FromString(message.SerializeToString())
