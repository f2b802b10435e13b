"""Marks on a module's calls, by which they are found again in its exported graph. The graph is as without them."""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Any

from makeweight.runtimes.calls import INPUT, Call
from makeweight.runtimes.onnxruntime.graphs import graphs

_DOMAIN, _KIND = "makeweight", "mark"


class Marks:
    """Visits a module's calls, and marks what is traced of them: their results, and the constants that they are handed.
    Where nothing is traced, it changes nothing."""

    def __init__(self, only: Collection[str] | None = None) -> None:
        """Args:
        only: the calls whose results are marked; None: all, and constants.
        """
        self._only = only
        self.names: list[str] = []
        """By the number of a mark, what bears it."""
        self._made: dict[int, Any] = {}

    def __call__(self, call: Call) -> Any:
        import torch

        if not torch.compiler.is_exporting():
            return call.result()
        given = call.arguments
        if self._only is None and call.kind != INPUT and not call.in_place:
            given = tuple(
                values if id(values) in self._made else self._marked(values, f"{call.name}({place})")
                for place, values in enumerate(given)
            )
        return self._marked(call.compute(*given, **call.others), call.name)

    def _marked(self, values: Any, name: str) -> Any:
        import torch

        if type(values) in (tuple, list):
            return type(values)(self._marked(each, f"{name}[{place}]") for place, each in enumerate(values))
        if not isinstance(values, torch.Tensor) or not values.is_floating_point():
            return values
        if self._only is None or name in self._only:
            self.names.append(name)
            values = _operator()(values, len(self.names) - 1)
        # kept, so that no other gets its id
        self._made[id(values)] = values
        return values


@functools.cache
def _operator() -> Any:
    """A mark as torch traces it: a copy."""
    import torch

    name = f"{_DOMAIN}::{_KIND}"
    torch.library.define(name, "(Tensor values, int number) -> Tensor")
    torch.library.impl(name, "CompositeExplicitAutograd")(lambda values, number: values.clone())  # noqa: ARG005
    torch.library.register_fake(name)(lambda values, number: torch.empty_like(values))  # noqa: ARG005
    return getattr(getattr(torch.ops, _DOMAIN), _KIND).default


def translation() -> dict[Any, Any]:
    """What the exporter makes of a mark: https://docs.pytorch.org/docs/stable/onnx_export.html"""
    from onnx.defs import OpSchema
    from onnxscript.values import Op, Opset

    schema = OpSchema(
        _KIND,
        _DOMAIN,
        1,
        inputs=[OpSchema.FormalParameter("values", "T")],
        outputs=[OpSchema.FormalParameter("marked", "T")],
        type_constraints=[("T", [f"tensor({kind})" for kind in ("float", "float16", "bfloat16", "double")], "")],
        attributes=[OpSchema.Attribute("number", OpSchema.AttrType.INT, "")],
    )
    mark = Op(Opset(_DOMAIN, 1), _KIND, schema)
    return {_operator(): lambda values, number: mark(values, number=number)}


def taken_out(model: Any) -> dict[int, str]:
    """Take the marks out of a graph, in place.

    Returns:
        by the number of a mark, the tensor that had it.
    """
    from onnx import helper

    outputs = {value.name for value in model.graph.output}
    kept = {each.name for each in (*model.graph.input, *model.graph.initializer)} | outputs
    found, alias = dict[int, str](), dict[str, str]()
    for graph in graphs(model.graph):
        for node in list(graph.node):
            if node.domain == _DOMAIN and node.op_type == _KIND:
                number = next(each.i for each in node.attribute if each.name == "number")
                found[number] = alias[node.output[0]] = alias.get(node.input[0], node.input[0])
                if node.output[0] in outputs:
                    position = list(graph.node).index(node)
                    graph.node.insert(position, helper.make_node("Identity", [found[number]], [node.output[0]]))
                graph.node.remove(node)
    if not found:
        return found
    renamed = dict[str, str]()
    for node in [each for each in model.graph.node if each.op_type == "Identity" and each.output[0] in outputs]:
        source, output = node.input[0], node.output[0]
        if alias.get(output) == source and source not in kept and source not in renamed:
            renamed[source] = output
            model.graph.node.remove(node)
    for graph in graphs(model.graph):
        for node in graph.node:
            for place, name in enumerate(node.input):
                plain = alias.get(name, name)
                node.input[place] = renamed.get(plain, plain)
            for place, name in enumerate(node.output):
                node.output[place] = renamed.get(name, name)
        shapes = [value for value in graph.value_info if value.name not in alias and value.name not in renamed]
        del graph.value_info[:]
        graph.value_info.extend(shapes)
    others = [entry for entry in model.opset_import if entry.domain != _DOMAIN]
    del model.opset_import[:]
    model.opset_import.extend(others)
    return {number: renamed.get(name, name) for number, name in found.items()}
