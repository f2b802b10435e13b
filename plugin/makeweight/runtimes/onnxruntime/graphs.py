"""Walking through an ONNX graph and the graphs within it: the branches of If, the bodies of Loop and Scan."""

from __future__ import annotations

from collections.abc import Iterator
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


def tensors(node: Any) -> Iterator[Any]:
    """The tensors that a node holds as attributes."""
    for attribute in node.attribute:
        yield from attribute.tensors
        if attribute.HasField("t"):
            yield attribute.t


def all_tensors(model: Any) -> Iterator[Any]:
    """The tensors that a model stores: initializers and what nodes hold, in its graphs and its functions."""
    for part in (*graphs(model.graph), *model.functions):
        yield from getattr(part, "initializer", ())
        for node in part.node:
            yield from tensors(node)


def constants(graph: Any) -> Iterator[tuple[str, Any]]:
    """What the nodes `Constant` of a graph hold, by the name that other nodes read it by."""
    return ((node.output[0], tensor) for node in graph.node if node.op_type == "Constant" for tensor in tensors(node))
