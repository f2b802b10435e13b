"""Bias correction: what quantization shifts the mean of a layer's channels by is taken off its bias again.

Layer after layer, on the calibration examples and the graph as it then is, so that what earlier layers still shift is
taken off as well. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019,
appendix D, https://arxiv.org/abs/1906.04721.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.artifact.ports import Feeds
from makeweight.runtimes.onnxruntime.constants import Constants
from makeweight.runtimes.onnxruntime.graphs import makers, within
from makeweight.runtimes.onnxruntime.mend import BIASED, output_axis
from makeweight.runtimes.runtime import RecipeFailed
from makeweight_probe.sessions.onnxruntime import open_session

_LARGEST = 2**31 - 1


def give_biases(graph: Any, left: Collection[str]) -> None:
    """Give a bias of zeros to each layer of a mended graph that can have one and has none."""
    from onnx import numpy_helper

    constants = Constants(graph)
    for node in graph.node:
        if node.op_type not in BIASED or node.name in left or node.input[1] not in constants:
            continue
        axis = output_axis(node, 1, len(constants.shape(node.input[1])))
        if axis is not None and (len(node.input) < 3 or not node.input[2]):
            name = f"{node.name}/bias"
            zeros = np.zeros(constants.shape(node.input[1])[axis], np.float32)
            graph.initializer.append(numpy_helper.from_array(zeros, name))
            del node.input[2:]
            node.input.append(name)


def correct(quantized: Any, floating: Any, fed: Sequence[Feeds]) -> dict[str, float]:
    """Change the integer biases of a quantized graph in place.

    Args:
        quantized: between quantizers, as ONNX Runtime's quantizer leaves it; its layers have the names that they have
            in `floating`.
        fed: calibration examples in batches.

    Returns:
        by layer, the root mean square over its channels of what their means were off by, before that was taken off.

    Raises:
        RecipeFailed: no layer on integers has a bias.
    """
    from onnx import numpy_helper

    making, tensors = makers(quantized.graph), {tensor.name: tensor for tensor in quantized.graph.initializer}
    biases: dict[str, tuple[Any, NDArray[np.float64]]] = {}
    for node in quantized.graph.node:
        source = making.get(node.input[2]) if node.op_type in BIASED and len(node.input) > 2 else None
        if source is not None and source.op_type == "DequantizeLinear" and source.input[0] in tensors:
            scale = numpy_helper.to_array(tensors[source.input[1]]).astype(np.float64)
            biases[node.name] = tensors[source.input[0]], scale
    if not biases:
        raise RecipeFailed(
            "quantize: `correct_bias` finds no convolution and no Gemm on integers (a MatMul has no bias); drop it"
        )
    wanted = _means(floating, list(biases), fed)
    shifts: dict[str, float] = {}
    for name, (stored, scale) in biases.items():
        off = _means(quantized, [name], fed)[name] - wanted[name]
        steps = numpy_helper.to_array(stored) - np.rint(off / scale)
        values = np.clip(steps, -_LARGEST, _LARGEST).astype(np.int32)
        stored.CopyFrom(numpy_helper.from_array(values, stored.name))
        shifts[name] = float(f"{np.sqrt(np.square(off).mean()):.4g}")
    return shifts


def _means(model: Any, layers: Collection[str], fed: Sequence[Feeds]) -> Mapping[str, NDArray[Any]]:
    """What each channel of a layer gives, over all examples and places."""
    from onnx import TensorProto, helper

    named = {node.name: node for node in model.graph.node if node.name in layers}
    shown = _that_give(model, {node.output[0] for node in named.values()})
    for name in layers:
        output = named[name].output[0]
        mean = f"{output}/mean"
        kind = "Identity" if named[name].op_type == "Gemm" else "GlobalAveragePool"
        shown.graph.node.append(helper.make_node(kind, [output], [mean]))
        shown.graph.output.append(helper.make_tensor_value_info(mean, TensorProto.FLOAT, None))
    session = open_session(shown.SerializeToString(), 1)
    sums: list[Any] = [0.0] * len(layers)
    counts = [0] * len(layers)
    for feeds in fed:
        for index, given in enumerate(session.run(feeds)):
            sums[index] = sums[index] + given.reshape(*given.shape[:2]).sum(axis=0, dtype=np.float64)
            counts[index] += len(given)
    return {name: total / count for name, total, count in zip(layers, sums, counts, strict=True)}


def _that_give(model: Any, wanted: set[str]) -> Any:
    """The part of a model that gives these tensors, without outputs: what is behind them is neither copied nor run."""
    made, nodes = type(model)(), []
    for node in reversed(model.graph.node):
        if wanted.intersection(node.output):
            nodes.append(node)
            wanted = wanted.union(node.input, *(each.input for part in within(node) for each in part.node))
    made.ir_version = model.ir_version
    made.opset_import.extend(model.opset_import)
    made.functions.extend(model.functions)
    made.graph.name = model.graph.name
    made.graph.input.extend(model.graph.input)
    made.graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in wanted)
    made.graph.node.extend(reversed(nodes))
    return made
