"""What stands between the layers of a file, said briefly: names of tensors, shapes that follow from the operators,
scales and zero points that are the same several times.

The quantizer hands a name on with a suffix for each of the five tensors and two nodes that it puts around a value: that
was a ninth of the file of a small network (a ResNet-8 of 99.4 kB takes 87.3 kB without, and gives the same answers).
A reader finds his way by the operators, which keep their names, and by what goes into the graph and comes out of it.
"""

from __future__ import annotations

import string
from collections.abc import Collection, Iterator
from itertools import count, product
from pathlib import Path
from typing import Any

from makeweight.runtimes.onnxruntime.graphs import given, graphs, rename
from makeweight.runtimes.onnxruntime.inspect import weights
from makeweight.runtimes.onnxruntime.lean import write

# What only stands around a layer: nothing is asked for by its name.
_AROUND = frozenset({"DequantizeLinear", "DynamicQuantizeLinear", "QuantizeLinear"})


def brief_file(path: Path) -> dict[str, str]:
    """`brief` on a file that `write` has written; each time the same bytes."""
    import onnx

    model = onnx.load(path)
    names = brief(model)
    write(model, path)
    return names


def brief(model: Any) -> dict[str, str]:
    """Shorten in place what is not asked for by name. What functions hold is left as it is: their names are their own.

    Returns:
        by the new name of each tensor of the graph itself, what it was called.

    The scopes of names: https://github.com/onnx/onnx/blob/main/docs/IR.md#names-within-a-graph
    """
    counted = {tensor.name for tensor in weights(model)}
    for graph in graphs(model.graph):
        del graph.value_info[:]
        for node in graph.node:
            if node.op_type in _AROUND:
                node.ClearField("name")
    kept = {value.name for value in (*model.graph.input, *model.graph.output)}
    alike = _alike(model.graph, kept | counted)
    for position in reversed(range(len(model.graph.initializer))):
        if model.graph.initializer[position].name in alike:
            del model.graph.initializer[position]
    taken = kept | _given_nowhere(model.graph)
    short = _short(taken)
    names = rename(model.graph, lambda name: name if name in kept else next(short), lambda _: next(short), gone=alike)
    return {new: name for name, new in names.items() if name and name not in alike}


def _alike(graph: Any, kept: Collection[str]) -> dict[str, str]:
    """Constants that are the same as an earlier one, with that one's name.

    Signed bytes each stand by themselves: asked to multiply exactly (`session.x64quantprecision`), ONNX Runtime makes
    each weight unsigned with its zero point, and opens no file in which two have one zero point.
    """
    import onnx

    first, alike = dict[bytes, str](), dict[str, str]()
    for tensor in graph.initializer:
        if tensor.name in kept or tensor.data_type == onnx.TensorProto.INT8:
            continue
        bare = type(tensor)()
        bare.CopyFrom(tensor)
        bare.ClearField("name")
        same = first.setdefault(bare.SerializeToString(deterministic=True), tensor.name)
        if same != tensor.name:
            alike[tensor.name] = same
    return alike


def _given_nowhere(graph: Any) -> set[str]:
    """What is read and nothing gives, which keeps its name."""
    parts = list(graphs(graph))
    read = {name for part in parts for node in part.node for name in node.input}
    read |= {value.name for part in parts for value in part.output}
    return read - {name for part in parts for name in given(part)}


def _short(taken: Collection[str]) -> Iterator[str]:
    """Names that are not taken, the shortest first."""
    for length in count(1):
        for letters in product(string.ascii_letters, repeat=length):
            name = "".join(letters)
            if name not in taken:
                yield name
