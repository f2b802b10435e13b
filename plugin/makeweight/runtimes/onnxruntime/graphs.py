"""An ONNX graph and the graphs within it (the branches of If, the bodies of Loop and Scan): what they hold and read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Any


def graphs(graph: Any) -> Iterator[Any]:
    """A graph, and those within it at any depth."""
    yield graph
    for node in graph.node:
        for each in inner(node):
            yield from graphs(each)


def inner(node: Any) -> Iterator[Any]:
    """The graphs that a node itself holds."""
    for attribute in node.attribute:
        yield from attribute.graphs
        if attribute.HasField("g"):
            yield attribute.g


def within(node: Any) -> Iterator[Any]:
    """The graphs that a node holds, at any depth."""
    return (part for each in inner(node) for part in graphs(each))


def readers(graph: Any) -> Counter[str]:
    """How often each tensor is read: by nodes, at any depth, and as an output."""
    read = (name for part in graphs(graph) for node in part.node for name in node.input)
    return Counter([*read, *(value.name for value in graph.output)])


def makers(graph: Any) -> dict[str, Any]:
    """By tensor, the node of this very graph that gives it."""
    return {output: node for node in graph.node for output in node.output}


def name_nodes(graph: Any) -> None:
    """A name of its own for every node."""
    taken: set[str] = set()
    for index, node in enumerate(graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.name or node.op_type}_{index}"
            while node.name in taken:
                node.name += "_"
        taken.add(node.name)


def called(node: Any, stored: Collection[str]) -> list[str]:
    """The names that a recipe may know a node by: those of the modules whose weights it reads, and its own."""
    owners = [name.rpartition(".")[0] for name in node.input if name in stored and "." in name]
    return [*dict.fromkeys(owners), node.name]


def attribute(node: Any, name: str, default: Any) -> Any:
    """What a node sets, else the default."""
    from onnx import helper

    return next((helper.get_attribute_value(each) for each in node.attribute if each.name == name), default)


def tensors(node: Any) -> Iterator[Any]:
    """The tensors that a node holds as attributes."""
    for attribute in node.attribute:
        yield from attribute.tensors
        if attribute.HasField("t"):
            yield attribute.t


def opset(model: Any) -> int:
    """The version of ONNX's own operators that a model is written in."""
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def all_tensors(model: Any) -> Iterator[Any]:
    """The tensors that a model stores: initializers and what nodes hold, in its graphs and its functions."""
    for part in (*graphs(model.graph), *model.functions):
        yield from getattr(part, "initializer", ())
        for node in part.node:
            yield from tensors(node)


def store_constants(graph: Any, wanted: Callable[[Any], bool]) -> None:
    """Have the wanted constants that the nodes `Constant` of a graph hold be initializers."""
    held = {name: tensor for name, tensor in constants(graph) if wanted(tensor)}
    for node in [each for each in graph.node if each.op_type == "Constant" and each.output[0] in held]:
        stored = graph.initializer.add()
        stored.CopyFrom(held[node.output[0]])
        stored.name = node.output[0]
        graph.node.remove(node)


def constants(graph: Any) -> Iterator[tuple[str, Any]]:
    """What the nodes `Constant` of a graph hold, by the name that other nodes read it by."""
    return ((node.output[0], tensor) for node in graph.node if node.op_type == "Constant" for tensor in tensors(node))
