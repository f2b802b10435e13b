"""What the operators of a converted file are called: by the module that they come from, as recipes name layers.

The converter tells where each operator of torch's stands, and names the tensors of the file by that: it is handed the
whole path of the module in place of its class and the last part of the path, which two modules may share. Those names,
one after another for all that was folded into an operator, are then made one: `blocks.0.linear1/fully_connected`.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from makeweight.runtimes.litert import graph

# Operators of torch's that are products, after the decompositions that the converter begins with.
_PRODUCTS = frozenset(
    {"addmm", "baddbmm", "bmm", "conv1d", "conv2d", "conv3d", "convolution", "linear", "lstm", "matmul", "mm"}
)
_PLACE = re.compile(r"(?P<path>[^;/]*)/(?P<operator>[A-Za-z_][A-Za-z0-9_]*?)_?\d*$")


class Places:
    """Where the converter is."""

    last: str = ""
    """The module of the operator that it came to last; "": the whole."""

    def told(self, node: Any) -> str | None:
        stack = list(node.meta.get("nn_module_stack", {}).values()) if hasattr(node, "meta") else []
        if not stack:
            return None
        self.last = re.sub(r"^L\['self'\]\.?|@\d+", "", stack[-1][0])
        return f"{self.last}/{getattr(node.target, '_opname', node.target)}"


@contextlib.contextmanager
def by_module() -> Iterator[Places]:
    """As long as this lasts, litert-torch names what it converts by the paths of modules."""
    from litert_torch.backend import debuginfo

    places, own = Places(), debuginfo.build_mlir_debuginfo
    debuginfo.build_mlir_debuginfo = places.told
    try:
        yield places
    finally:
        debuginfo.build_mlir_debuginfo = own


def give(model: Any) -> None:
    """Name every tensor by the operator that makes it or, of a constant, the one that first takes it; all names differ.
    The inputs' stay."""
    seen: Counter[str] = Counter()

    def unlike(name: str) -> str:
        seen[name] += 1
        return name if seen[name] == 1 else f"{name}:{seen[name]}"

    for each in model.subgraphs:
        named: set[int] = {*each.inputs}
        for index in named:
            unlike(graph.text(each.tensors[index].name))
        for node in each.operators or ():
            operator = graph.operator(model, node)
            path = _path(model, each, node, operator)
            name = unlike(f"{path}/{operator.lower()}" if path else operator.lower())
            for place, index in enumerate(node.outputs):
                if index not in named:
                    each.tensors[index].name = (name if place == 0 else unlike(f"{name}.{place}")).encode()
                    named.add(index)
            for place, index in enumerate(node.inputs):
                if index not in named and index >= 0 and graph.constant(model, each.tensors[index]):
                    each.tensors[index].name = unlike(f"{name}({place})").encode()
                    named.add(index)


def _path(model: Any, each: Any, node: Any, operator: str) -> str:
    """The module that an operator comes from; "": the whole, or nobody knows. What gives an output of the file is named
    after that, so its constants are asked."""
    own = [graph.text(each.tensors[index].name) for index in node.outputs]
    constants = [
        graph.text(each.tensors[index].name)
        for index in node.inputs
        if index >= 0 and graph.constant(model, each.tensors[index])
    ]
    places = [found for name in (*own, *constants) for part in name.split(";") if (found := _PLACE.fullmatch(part))]
    if operator in graph.WEIGHT_AT:
        places.sort(key=lambda place: place["operator"] not in _PRODUCTS)
    return places[0]["path"] if places else ""
