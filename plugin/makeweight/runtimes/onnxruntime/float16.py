"""Half precision, by the converter that comes with ONNX Runtime (onnxruntime.transformers.float16)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from makeweight.runtimes import environment
from makeweight.runtimes.onnxruntime import refusal
from makeweight.runtimes.onnxruntime.aside import put_aside, put_back
from makeweight.runtimes.onnxruntime.graphs import all_tensors, given, graphs, inner, name_tensors, within
from makeweight.runtimes.onnxruntime.lean import write
from makeweight.runtimes.onnxruntime.normal import normal
from makeweight.runtimes.runtime import RecipeFailed
from makeweight_base.quiet import quiet


def to_float16(source: Path, target: Path) -> None:
    """Write `source` with float16 weights and arithmetic to `target`; its inputs and outputs stay float32.

    Operators that have no float16 form keep float32, with casts around them.

    Raises:
        RecipeFailed: the graph holds no float32 weights.
    """
    import onnx

    with quiet():
        from onnxruntime.transformers.float16 import convert_float_to_float16

        model = normal(onnx.load(source))
        name_tensors(model.graph)
        before = _weights(model)
        if not before:
            taken = sum(port.type.tensor_type.elem_type == onnx.TensorProto.FLOAT for port in model.graph.input)
            raise RecipeFailed(
                f"float16 changed nothing: the graph holds no 32-bit floating-point weights, and its {taken} inputs of "
                "that type stay as they are"
            )
        with environment.translated(
            lambda error: RecipeFailed(f"ONNX Runtime's float16 converter failed: {refusal.reason(error)}")
        ):
            in_float32 = list(_named(_before_products(model.graph)))
            model = _with_types(model)
            model = convert_float_to_float16(
                model, keep_io_types=True, node_block_list=in_float32, disable_shape_infer=True
            )
    if _weights(model) == before:
        raise RecipeFailed("float16 changed nothing: no operator of the graph has a 16-bit form")
    _put_within(model.graph)
    for part in graphs(model.graph):
        _sort(part)
    write(model, target)


def _with_types(model: Any) -> Any:
    """A model with the types of what nodes give, which the converter asks for. It would infer them itself, with all
    weights in one message."""
    import onnx

    aside = put_aside(model)
    inferred = onnx.shape_inference.infer_shapes(model)
    put_back(inferred, aside)
    return inferred


def _before_products(graph: Any) -> Iterator[Any]:
    """Transposes that a product reads, but for those of a constant, which are folded before anything is computed.

    Where the processor has no product of 16 bits, ONNX Runtime changes one with the cast that it puts between them, and
    on x86 then ends the process: https://github.com/microsoft/onnxruntime/issues/28392.
    """
    read = {name for node in graph.node if node.op_type == "MatMul" for name in node.input}
    constant = {each.name for each in graph.initializer}
    for node in graph.node:
        if node.op_type == "Transpose" and node.output[0] in read and node.input[0] not in constant:
            yield node
        for part in inner(node):
            yield from _before_products(part)


def _named(nodes: Iterator[Any]) -> Iterator[str]:
    """What the converter knows nodes by, which in a file need not have a name."""
    for node in nodes:
        node.name = node.name or f"{node.op_type} {node.output[0]}"
        yield node.name


def _weights(model: Any) -> int:
    """How many float32 tensors a model holds, initializers and constants in nodes, also in the graphs that nodes hold;
    a single number is no weight."""
    from onnx import TensorProto

    return sum(each.data_type == TensorProto.FLOAT and math.prod(each.dims) > 1 for each in all_tensors(model))


def _put_within(graph: Any) -> None:
    """Put casts of what only a graph within this one has into that graph: the converter leaves all of them here."""
    homes = {name: part for node in graph.node for part in within(node) for name in given(part)}
    found = True
    while found:
        found = False
        for place in reversed(range(len(graph.node))):
            cast = graph.node[place]
            if cast.op_type == "Cast" and (home := homes.get(cast.input[0])) is not None:
                homes[cast.output[0]] = home
                home.node.add().CopyFrom(cast)
                del graph.node[place]
                found = True


def _sort(graph: Any) -> None:
    """Put each node after those it reads from, as ONNX demands: the converter leaves the casts of inputs at the end."""
    nodes = list(graph.node)
    maker = {output: index for index, node in enumerate(nodes) for output in node.output}
    needs = {
        index: [maker[name] for name in _reads(node) if maker.get(name, index) != index]
        for index, node in enumerate(nodes)
    }
    ordered = [nodes[index] for index in TopologicalSorter(needs).static_order()]
    copies = [type(node).FromString(node.SerializeToString()) for node in ordered]
    del graph.node[:]
    graph.node.extend(copies)


def _reads(node: Any) -> Iterator[str]:
    """What a node takes: its inputs, and what its branches and loop bodies take from around them."""
    yield from node.input
    for graph in inner(node):
        for each in graph.node:
            yield from _reads(each)
