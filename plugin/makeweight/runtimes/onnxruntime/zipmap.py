"""Answers that are lists of dictionaries (ZipMap), as classifiers of scikit-learn are exported: taken apart into the
tensor that they are made from.

https://github.com/onnx/onnx/blob/main/docs/Operators-ml.md#ai.onnx.ml.ZipMap
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from makeweight.runtimes.onnxruntime.graphs import graphs

ZIPMAP = "ZipMap"


def take_apart(model: Any) -> list[str]:
    """Make every output that is such a list the scores themselves, in place, under the output's own name: shape
    [examples, classes], the classes in the order of their numbers, or as they stand where they have names.

    What something else reads stays.

    Returns:
        the names of those outputs.
    """
    graph = model.graph
    outputs = {value.name: value for value in graph.output}
    read = set(_read(graph))
    found = []
    for node in [node for node in graph.node if node.op_type == ZIPMAP]:
        name = node.output[0]
        if name in outputs and name not in read:
            _rewrite(graph, node, outputs[name])
            found.append(name)
    others = [value for value in graph.value_info if value.name not in found]
    if len(others) < len(graph.value_info):  # of another type than now
        del graph.value_info[:]
        graph.value_info.extend(others)
    return found


def _rewrite(graph: Any, node: Any, output: Any) -> None:
    from onnx import TensorProto, helper, numpy_helper

    scores, name = node.input[0], node.output[0]
    labels = next(each for each in node.attribute if each.name.startswith("classlabels_"))
    order = np.argsort(labels.ints) if labels.ints else np.arange(len(labels.strings))
    rewritten = helper.make_node("Identity", [scores], [name], name=node.name)
    if not np.array_equal(order, np.arange(len(order))):
        graph.initializer.append(numpy_helper.from_array(order.astype(np.int64), f"{name}_order"))
        rewritten = helper.make_node("Gather", [scores, f"{name}_order"], [name], name=node.name, axis=1)
    node.CopyFrom(rewritten)
    output.CopyFrom(helper.make_tensor_value_info(name, TensorProto.FLOAT, [_batch(graph), len(order)]))


def _batch(graph: Any) -> int | str | None:
    """What the first input has in first place."""
    first = next(iter(graph.input), None)
    dims = [] if first is None else first.type.tensor_type.shape.dim
    return next((dim.dim_value or dim.dim_param or None for dim in dims), None)


def _read(graph: Any) -> Iterator[str]:
    """What nodes read, those of graphs within it too, and what graphs within it answer."""
    for each in graphs(graph):
        yield from (name for node in each.node for name in node.input)
        if each is not graph:
            yield from (value.name for value in each.output)
