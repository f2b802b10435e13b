"""Small LiteRT files written operator by operator, as somebody else's converter might write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Scale = tuple[float, int]


@dataclass(frozen=True)
class Tensor:
    shape: tuple[int, ...]
    kind: str = "FLOAT32"
    values: np.ndarray | None = None
    scale: Scale | None = None
    variable: bool = False


@dataclass(frozen=True)
class Node:
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    options: Any = None


@dataclass(frozen=True)
class Graph:
    tensors: dict[str, Tensor]
    nodes: list[Node]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Signature:
    """A function of the file: names, with the tensors that have them."""

    key: str
    inputs: dict[str, str]
    outputs: dict[str, str]
    graph: int = 0


def save(path: Path, *graphs: Graph, nameless: bool = False, signatures: Sequence[Signature] = ()) -> Path:
    """Args:
    nameless: no tensor has a name.
    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = schema.ModelT()
    model.version, model.buffers, model.operatorCodes, model.subgraphs = 3, [schema.BufferT()], [], []

    def tensor(name: str, of: Tensor) -> Any:
        made = schema.TensorT()
        made.shape, made.type, made.isVariable = list(of.shape), getattr(schema.TensorType, of.kind), of.variable
        made.name = "" if nameless else name
        if of.values is not None:
            made.buffer = len(model.buffers)
            model.buffers.append(schema.BufferT(data=np.frombuffer(of.values.tobytes(), np.uint8)))
        if of.scale is not None:
            made.quantization = schema.QuantizationParametersT(scale=[of.scale[0]], zeroPoint=[of.scale[1]])
        return made

    def node(places: dict[str, int], of: Node) -> Any:
        made, code = schema.OperatorT(), schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, of.operator)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
        made.opcodeIndex = len(model.operatorCodes)
        model.operatorCodes.append(code)
        made.inputs, made.outputs = [places[name] for name in of.inputs], [places[name] for name in of.outputs]
        if of.options is not None:
            kind = type(of.options).__name__.removesuffix("T")
            made.builtinOptions, made.builtinOptionsType = of.options, getattr(schema.BuiltinOptions, kind)
        return made

    for graph in graphs:
        places = {name: place for place, name in enumerate(graph.tensors)}
        made = schema.SubGraphT()
        made.tensors = [tensor(name, of) for name, of in graph.tensors.items()]
        made.operators = [node(places, of) for of in graph.nodes]
        made.inputs, made.outputs = [places[name] for name in graph.inputs], [places[name] for name in graph.outputs]
        model.subgraphs.append(made)
    model.signatureDefs = [] if signatures else None
    for each in signatures:
        places = {name: place for place, name in enumerate(graphs[each.graph].tensors)}
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = each.key, each.graph
        signature.inputs, signature.outputs = (
            [schema.TensorMapT(name=name, tensorIndex=places[tensor]) for name, tensor in named.items()]
            for named in (each.inputs, each.outputs)
        )
        model.signatureDefs.append(signature)
    path.write_bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    return path


def sum_so_far(path: Path) -> Path:
    """A recurrent layer whose answer is the sum of what it was asked and of what it has in its variable, which becomes
    the answer."""
    from ai_edge_litert import schema_py_generated as schema

    one = np.ones((1, 1), np.float32)
    tensors = {
        "x": Tensor((1, 1)),
        "w": Tensor((1, 1), values=one),
        "r": Tensor((1, 1), values=one),
        "b": Tensor((1,), values=np.zeros(1, np.float32)),
        "h": Tensor((1, 1), variable=True),
        "y": Tensor((1, 1)),
    }
    rnn = Node("RNN", ("x", "w", "r", "b", "h"), ("y",), schema.RNNOptionsT())
    return save(path, Graph(tensors, [rnn], ("x",), ("y",)))


def sum_in_a_resource(path: Path) -> Path:
    """The same, with a variable that the file makes when it is first asked, as tf.Variable becomes one."""
    from ai_edge_litert import schema_py_generated as schema

    handle = Tensor((), "RESOURCE")

    def made() -> Node:
        return Node("VAR_HANDLE", (), ("v",), schema.VarHandleOptionsT(container="", sharedName="sum"))

    def kept(name: str) -> Node:
        return Node("ASSIGN_VARIABLE", ("v", name), (), schema.AssignVariableOptionsT())

    nodes = [
        Node("CALL_ONCE", (), (), schema.CallOnceOptionsT(initSubgraphIndex=1)),
        made(),
        Node("READ_VARIABLE", ("v",), ("h",), schema.ReadVariableOptionsT()),
        Node("ADD", ("x", "h"), ("y",), schema.AddOptionsT()),
        kept("y"),
    ]
    whole = Graph({**dict.fromkeys("xhy", Tensor((1, 1))), "v": handle}, nodes, ("x",), ("y",))
    zero = Tensor((1, 1), values=np.zeros((1, 1), np.float32))
    return save(path, whole, Graph({"v": handle, "zero": zero}, [made(), kept("zero")], (), ()))


def rescaled(path: Path, taken: Tensor, given: Tensor, *, nameless: bool = False) -> Path:
    """The same real numbers in another type, or by another scale."""
    operator = "DEQUANTIZE" if given.kind == "FLOAT32" else "QUANTIZE"
    graph = Graph({"x": taken, "y": given}, [Node(operator, ("x",), ("y",))], ("x",), ("y",))
    return save(path, graph, nameless=nameless)
