"""Bias correction: what quantization shifts the mean of a layer's channels by is taken off its bias again.

Layer after layer, on the calibration examples and the graph as it then is, so that what earlier layers still shift is
taken off as well. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019,
appendix D, https://arxiv.org/abs/1906.04721.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.artifact.ports import Feeds
from makeweight.runtimes.onnxruntime.constants import Constants
from makeweight.runtimes.onnxruntime.graphs import makers
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


def correct(quantized: Any, floating: Any, fed: Sequence[Feeds], folder: Path) -> dict[str, float]:
    """Change the integer biases of a quantized graph in place.

    Args:
        quantized: between quantizers, as ONNX Runtime's quantizer leaves it; its layers have the names that they have
            in `floating`.
        fed: calibration examples in batches.
        folder: for what is run.

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
    wanted = _means(floating, list(biases), fed, folder)
    shifts: dict[str, float] = {}
    for name, (stored, scale) in biases.items():
        off = _means(quantized, [name], fed, folder)[name] - wanted[name]
        steps = numpy_helper.to_array(stored) - np.rint(off / scale)
        values = np.clip(steps, -_LARGEST, _LARGEST).astype(np.int32)
        stored.CopyFrom(numpy_helper.from_array(values, stored.name))
        shifts[name] = float(f"{np.sqrt(np.square(off).mean()):.4g}")
    return shifts


def _means(model: Any, layers: Collection[str], fed: Sequence[Feeds], folder: Path) -> Mapping[str, NDArray[Any]]:
    """What each channel of a layer gives, over all examples and places."""
    from onnx import TensorProto, helper

    shown, places = type(model)(), {node.name: index for index, node in enumerate(model.graph.node)}
    shown.CopyFrom(model)
    graph, last = shown.graph, max((places[name] for name in layers), default=-1)
    outputs = {name: graph.node[places[name]].output[0] for name in layers}
    pictures = {name for name in layers if graph.node[places[name]].op_type != "Gemm"}
    del graph.node[last + 1 :], graph.output[:]
    for name, output in outputs.items():
        mean = f"{output}/mean"
        graph.node.append(helper.make_node("GlobalAveragePool" if name in pictures else "Identity", [output], [mean]))
        graph.output.append(helper.make_tensor_value_info(mean, TensorProto.FLOAT, None))
    path = folder / "means.onnx"
    path.write_bytes(shown.SerializeToString())
    session = open_session(str(path), 1)
    sums: list[Any] = [0.0] * len(outputs)
    counts = [0] * len(outputs)
    for feeds in fed:
        for index, given in enumerate(session.run(feeds)):
            sums[index] = sums[index] + given.reshape(*given.shape[:2]).sum(axis=0, dtype=np.float64)
            counts[index] += len(given)
    return {name: total / count for name, total, count in zip(outputs, sums, counts, strict=True)}
