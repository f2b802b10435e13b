"""An ONNX graph and the graphs within it (the branches of If, the bodies of Loop and Scan): what they hold and read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType
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


def given(graph: Any) -> dict[str, None]:
    """The tensors that a graph itself brings, in order."""
    stored = (*graph.initializer, *(each.values for each in graph.sparse_initializer))
    made = (name for node in graph.node for name in node.output if name)
    return dict.fromkeys([*(each.name for each in (*graph.input, *stored)), *made])


def rename(
    graph: Any,
    called: Callable[[str], str],
    within: Callable[[str], str],
    gone: Mapping[str, str] = MappingProxyType({}),
    outer: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """Rename a graph's own tensors, and what it and the graphs within it read of them.

    Args:
        called: what a tensor of this graph is to be called.
        within: the same of a graph within it, which may give a name of its own to what has it here.
        gone: tensors that are no longer there, with the one that is read in their place.
        outer: new names by old ones, of the graphs around it.

    Returns:
        new names by old ones.
    """
    names = {"": "", **outer}
    for name in given(graph):
        names[name] = called(name)
    names |= {lost: names[same] for lost, same in gone.items()}

    def renamed(listed: Any) -> None:
        listed[:] = [names.get(name, name) for name in listed]

    stored = (*graph.initializer, *(each.values for each in graph.sparse_initializer))
    for value in (*graph.input, *graph.output, *graph.value_info, *stored):
        value.name = names.get(value.name, value.name)
    for noted in graph.quantization_annotation:
        noted.tensor_name = names.get(noted.tensor_name, noted.tensor_name)
        for entry in noted.quant_parameter_tensor_names:
            entry.value = names.get(entry.value, entry.value)
    for node in graph.node:
        renamed(node.input)
        renamed(node.output)
        for part in inner(node):
            rename(part, within, within, outer=names)
    return names


def name_tensors(graph: Any) -> None:
    """A name of its own for every tensor of the graphs within a graph: branches may each have one of the same name, and
    a search for a tensor by its name takes them for one."""
    taken = set(given(graph))

    def free(name: str) -> str:
        while name in taken:
            name += "_"
        taken.add(name)
        return name

    rename(graph, lambda name: name, free)


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


def store_outside(graph: Any, wanted: Callable[[Any], bool]) -> None:
    """Have the wanted constants be initializers of the graph itself, those of the graphs within it too: these may read
    what lies around them, but not give it, so that what a branch gives as it is stays there."""
    name_tensors(graph)
    for part in graphs(graph):
        store_constants(part, wanted)
    for part in [each for node in graph.node for each in within(node)]:
        own = {value.name for value in (*part.input, *part.output)}
        for place in reversed(range(len(part.initializer))):
            tensor = part.initializer[place]
            if wanted(tensor) and tensor.name not in own:
                graph.initializer.add().CopyFrom(tensor)
                del part.initializer[place]


def constants(graph: Any) -> Iterator[tuple[str, Any]]:
    """What the nodes `Constant` of a graph hold, by the name that other nodes read it by."""
    return ((node.output[0], tensor) for node in graph.node if node.op_type == "Constant" for tensor in tensors(node))
