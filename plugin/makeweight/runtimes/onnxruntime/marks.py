"""A module's marks (`runtimes/marks.py`) in its exported graph, which is as without them."""

from __future__ import annotations

from typing import Any

from makeweight.runtimes.marks import DOMAIN, KIND, operator
from makeweight.runtimes.onnxruntime.graphs import graphs


def translation() -> dict[Any, Any]:
    """What the exporter makes of a mark: https://docs.pytorch.org/docs/stable/onnx_export.html"""
    from onnx.defs import OpSchema
    from onnxscript.values import Op, Opset

    schema = OpSchema(
        KIND,
        DOMAIN,
        1,
        inputs=[OpSchema.FormalParameter("values", "T")],
        outputs=[OpSchema.FormalParameter("marked", "T")],
        type_constraints=[("T", [f"tensor({kind})" for kind in ("float", "float16", "bfloat16", "double")], "")],
        attributes=[OpSchema.Attribute("number", OpSchema.AttrType.INT, "")],
    )
    mark = Op(Opset(DOMAIN, 1), KIND, schema)
    return {operator(): lambda values, number: mark(values, number=number)}


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
            if node.domain == DOMAIN and node.op_type == KIND:
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
    others = [entry for entry in model.opset_import if entry.domain != DOMAIN]
    del model.opset_import[:]
    model.opset_import.extend(others)
    return {number: renamed.get(name, name) for number, name in found.items()}
