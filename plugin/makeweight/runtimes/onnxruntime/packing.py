"""Weights of a file stored in fewer bytes, behind operators that give them as they were.

When a session is opened, ONNX Runtime folds these into the weights again: the file is smaller, and the memory and the
time of an inference are as before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.runtimes.onnxruntime.graphs import all_tensors, graphs, opset
from makeweight.runtimes.onnxruntime.inspect import weights
from makeweight.runtimes.onnxruntime.lean import size_of, write
from makeweight.runtimes.runtime import RecipeFailed

# The first opset that has GatherElements and Range.
_SINCE = 11


@dataclass
class Unpacking:
    """What gives a weight: nodes, and the constants that they read, which are put into the graph."""

    graph: Any
    name: str
    """The weight's."""
    taken: set[str]
    """The names that something of the file has."""
    common: dict[str, str]
    """The names of the constants that are there once, for all weights, by what they are asked for as."""
    nodes: list[Any] = field(default_factory=list)

    def stored(self, part: str, values: Any) -> str:
        """A constant of this weight's own."""
        return self._put(f"{self.name}/{part}", np.ascontiguousarray(values))

    def shared(self, called: str, values: Any) -> str:
        """A constant that is there once, for all weights."""
        if called not in self.common:
            self.common[called] = self._put(called, values)
        return self.common[called]

    def node(self, kind: str, inputs: list[str], part: str = "", **attributes: Any) -> str:
        """What a node gives; the weight, where it is called no part."""
        from onnx import helper

        output = self._free(f"{self.name}/{part}") if part else self.name
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def _put(self, called: str, values: Any) -> str:
        from onnx import numpy_helper

        name = self._free(called)
        self.graph.initializer.append(numpy_helper.from_array(values, name))
        return name

    def _free(self, called: str) -> str:
        """A name that nothing else has: some exporters call what nodes give by a number alone."""
        while called in self.taken:
            called += "_"
        self.taken.add(called)
        return called


def pack(
    path: Path, kinds: Collection[int], unpacked: Callable[[Unpacking, NDArray[Any]], bool], none: str
) -> dict[str, Any]:
    """Store the weights of a file anew where it gets smaller by it.

    Args:
        kinds: those of the weights that are looked at, as ONNX numbers types.
        unpacked: has a weight be given by nodes; False where it stays as it is.
        none: what is said where all do.

    Returns:
        for the manifest: which weights, and the bytes of the file before and after.

    Raises:
        RecipeFailed: no weight gets smaller by it, or the file is of an opset without such operators.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    if (written := opset(model)) < _SINCE:
        raise RecipeFailed(
            f"cluster: the file is of opset {written}, and looking values up in a table needs {_SINCE}; export it anew"
        )
    before, graph, packed, nodes = size_of(path), model.graph, list[str](), list[Any]()
    taken, common = _names(model), dict[str, str]()
    counted = {tensor.name for tensor in weights(model)}
    for weight in [each for each in graph.initializer if each.data_type in kinds and each.name in counted]:
        unpacking = Unpacking(graph, weight.name, taken, common)
        if unpacked(unpacking, numpy_helper.to_array(weight)):
            graph.initializer.remove(weight)
            nodes += unpacking.nodes
            packed.append(unpacking.name)
    if not packed:
        raise RecipeFailed(none)
    made = [*nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(made)
    write(model, path)
    return {"weights": packed, "bytes": [before, size_of(path)]}


def _names(model: Any) -> set[str]:
    """Of all tensors, in the graphs within it too."""
    parts = list(graphs(model.graph))
    named = {name for part in parts for node in part.node for name in (*node.input, *node.output)}
    named |= {value.name for part in parts for value in (*part.input, *part.output)}
    return named | {tensor.name for tensor in all_tensors(model)}
