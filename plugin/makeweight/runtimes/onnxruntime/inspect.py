"""What a model file holds, and what ONNX Runtime makes of it when it optimises the graph."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from makeweight.artifact.model import Model
from makeweight.artifact.ports import Shapes
from makeweight.runtimes.asked import examples
from makeweight.runtimes.onnxruntime import macs, operators, weighed
from makeweight.runtimes.onnxruntime.graphs import constants, graphs
from makeweight.runtimes.onnxruntime.normal import normal
from makeweight.runtimes.runtime import GraphFacts
from makeweight_probe.sessions.onnxruntime import runtime_module

# By operator, which inputs are not weights: scales and zero points.
_SCALES: Mapping[str, tuple[int, ...]] = {
    "QuantizeLinear": (1, 2),
    "DequantizeLinear": (1, 2),
    "QLinearConv": (1, 2, 4, 5, 6, 7),
    "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "QGemm": (1, 2, 4, 5, 7, 8),
    "MatMulInteger": (2, 3),
    "ConvInteger": (2, 3),
    "MatMulNBits": (2, 3),
    "GatherBlockQuantized": (2, 3),
    "DynamicQuantizeLSTM": (8, 9, 10, 11),
    "DynamicQuantizeMatMul": (2, 3),
    "MatMulIntegerToFloat": (2, 3, 4, 5),
    **dict.fromkeys(("QLinearAdd", "QLinearMul"), (1, 2, 4, 5, 6, 7)),
    **dict.fromkeys(
        (
            "QLinearAveragePool", "QLinearGlobalAveragePool", "QLinearLeakyRelu", "QLinearReduceMean", "QLinearSigmoid",
            "QLinearSoftmax",
        ),
        (1, 2, 3, 4),
    ),
}  # fmt: skip


def inspect(model: Model, asked: Sequence[Shapes] = ()) -> GraphFacts:
    """Parameters and MACs of the file; operators of the optimised graph, as this machine's ONNX Runtime runs it.

    Args:
        asked: see `macs.count`.
    """
    import onnx

    held = normal(onnx.load(model.path))
    counts = Counter(node.op_type for node in _nodes(_optimised(model.path).graph))
    return GraphFacts(
        parameters=_parameters(held),
        macs=macs.count(held, asked, examples(model.inputs, asked)),
        operators=dict(sorted(counts.items())),
        quantized=sum(counts[name] for name in operators.INTEGER),
        floating=sum(counts[name] for name in operators.FLOATING),
        layers=tuple(
            node.name
            for node, integer in zip(held.graph.node, operators.on_integers(held), strict=True)
            if (integer or node.op_type in operators.TABLES) and node.name
        ),
        weighed=weighed.layers(held, asked),
    )


def _parameters(model: Any) -> int:
    """How many weights there are; those that share bytes are counted by what their operator says of them."""
    packed = {
        node.input[1]: math.prod(each.i for each in node.attribute if each.name in ("K", "N"))
        for node in _nodes(model.graph)
        if node.op_type == "MatMulNBits"
    }
    tables = {node.input[0]: node for node in _nodes(model.graph) if node.op_type in operators.TABLES}
    return sum(
        packed.get(tensor.name, math.prod(tensor.dims))
        * (operators.in_a_byte(tables[tensor.name], tensor) if tensor.name in tables else 1)
        for tensor in weights(model)
    )


def _optimised(path: Path) -> Any:
    import onnx

    onnxruntime = runtime_module()
    with tempfile.TemporaryDirectory(prefix="makeweight-inspect-") as folder:
        dumped = Path(folder, "optimised.onnx")
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(dumped)
        # else the dump would name files that weights of the original lie in, and look for them beside itself
        options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "weights")
        # 4 is fatal: it would warn that the dump fits this machine only, which is the point
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return onnx.load(dumped, load_external_data=False)


def weights(model: Any) -> Iterator[Any]:
    """The tensors that a graph stores as weights: no shapes or indices (64-bit integers), no scales, no zero points."""
    import onnx

    nodes = list(_nodes(model.graph))
    scales = {node.input[index] for node in nodes for index in _SCALES.get(node.op_type, ()) if index < len(node.input)}
    # dynamic quantization multiplies the input's scale (its second output) by the weights' scale
    dynamic = {node.output[1] for node in nodes if node.op_type == "DynamicQuantizeLinear"}
    for node in nodes:
        if node.op_type == "Mul" and dynamic & set(node.input):
            scales |= set(node.input)
    integers = (onnx.TensorProto.INT64, onnx.TensorProto.BOOL, onnx.TensorProto.STRING)
    for graph in graphs(model.graph):
        for name, tensor in (*((each.name, each) for each in graph.initializer), *constants(graph)):
            if tensor.data_type not in integers and name not in scales:
                yield tensor


def stored(model: Any) -> int:
    """Bytes of the weights."""
    from onnx.helper import tensor_dtype_to_np_dtype

    return sum(math.prod(each.dims) * tensor_dtype_to_np_dtype(each.data_type).itemsize for each in weights(model))


def _nodes(graph: Any) -> Iterator[Any]:
    for part in graphs(graph):
        yield from part.node
