"""One normal form of a graph, from any exporter: no functions of its own, and no constants among its inputs."""

from __future__ import annotations

from typing import Any

from makeweight.runtimes.onnxruntime.aside import put_aside, put_back

# The first version of the format whose constants need not be inputs too.
_CONSTANTS_APART = 4


def normal(model: Any) -> Any:
    """The same model in normal form; the very same where it is already.

    Functions: https://onnx.ai/onnx/intro/concepts.html#functions. Inputs that constants are the defaults of:
    https://github.com/onnx/onnx/blob/main/docs/IR.md#graphs
    """
    import onnx.inliner

    if model.functions:
        given, aside = model, put_aside(model)
        model = onnx.inliner.inline_local_functions(given)
        for each in (given, model):
            put_back(each, aside)
    constants = {tensor.name for tensor in model.graph.initializer}
    defaults = [value for value in model.graph.input if value.name in constants]
    if defaults:
        whole = type(model)()
        whole.CopyFrom(model)
        kept = [value for value in whole.graph.input if value.name not in constants]
        del whole.graph.input[:]
        whole.graph.input.extend(kept)
        whole.ir_version = max(whole.ir_version, _CONSTANTS_APART)
        model = whole
    return model
