"""A LiteRT file as its flatbuffer holds it: operators by name, which of them multiply, what is constant.

The schema: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WEIGHT_AT = {
    "CONV_2D": 1,
    "CONV_3D": 1,
    "CONV_3D_TRANSPOSE": 1,
    "DEPTHWISE_CONV_2D": 1,
    "FULLY_CONNECTED": 1,
    "TRANSPOSE_CONV": 1,
    "BATCH_MATMUL": 1,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 1,
    "UNIDIRECTIONAL_SEQUENCE_RNN": 1,
    "LSTM": 1,
    "RNN": 1,
    "SVDF": 1,
}
"""The operators that are products, and at which of their inputs the weight (of a product of two activations: the right
factor) stands."""
BIAS_AT = {
    **dict.fromkeys(("CONV_2D", "CONV_3D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"), 2),
    **dict.fromkeys(("TRANSPOSE_CONV", "CONV_3D_TRANSPOSE"), 3),
}
"""Where the bias stands, of those that have one."""
INTEGERS = frozenset({"INT2", "INT4", "INT8", "UINT8", "INT16"})
"""The types that weights have as integers; wider ones are sizes, indices and biases."""


def load(path: Path) -> Any:
    """See `of_bytes`."""
    return of_bytes(path.read_bytes())


def of_bytes(data: bytes) -> Any:
    """A whole file as a tree of objects. It must be sound, which opening it tells: this does not look."""
    from ai_edge_litert.tools import flatbuffer_utils

    return flatbuffer_utils.read_model_from_bytearray(bytearray(data))


def write(model: Any, path: Path) -> None:
    """The same model gives the same bytes."""
    from ai_edge_litert.tools import flatbuffer_utils

    path.write_bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def operator(model: Any, node: Any) -> str:
    """As the schema names it; one of somebody's own as its author does."""
    code = model.operatorCodes[node.opcodeIndex]
    if code.customCode:
        return text(code.customCode)
    return _names("BuiltinOperator")[max(code.builtinCode, code.deprecatedBuiltinCode)]


def kind(tensor: Any) -> str:
    """Its element type: `FLOAT32`."""
    return _names("TensorType")[tensor.type]


def text(value: bytes | str | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""


def constant(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def stored(model: Any) -> int:
    """Bytes of the constants."""
    return sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None)


def nodes(model: Any) -> Iterator[tuple[Any, Any]]:
    """Every operator with the graph that it stands in, those of branches and loops too."""
    for graph in model.subgraphs:
        for node in graph.operators or ():
            yield graph, node


def products(model: Any) -> Iterator[tuple[Any, Any, str]]:
    """The operators that multiply, with their graph and name."""
    for graph, node in nodes(model):
        if (name := operator(model, node)) in WEIGHT_AT:
            yield graph, node, name


def layer(graph: Any, node: Any) -> str:
    """What an operator is called by: its first output."""
    return text(graph.tensors[node.outputs[0]].name)


def on_integers(graph: Any, node: Any, name: str) -> bool:
    """Whether it multiplies integers: its weight is one, and activations are or become some in its kernel."""
    return kind(graph.tensors[node.inputs[WEIGHT_AT[name]]]) in INTEGERS


def sizes(tensor: Any) -> tuple[int, ...]:
    return () if tensor.shape is None else tuple(map(int, tensor.shape))


@functools.cache  # it is asked for every operator and tensor
def _names(enumeration: str) -> dict[int, str]:
    from ai_edge_litert import schema_py_generated

    found = vars(getattr(schema_py_generated, enumeration))
    return {number: name for name, number in found.items() if re.fullmatch(r"[A-Z]\w*", name)}
