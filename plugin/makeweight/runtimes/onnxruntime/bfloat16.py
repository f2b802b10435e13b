"""Weights stored in bfloat16 and cast to float32 when a session is opened.

ONNX Runtime's CPU has no products of bfloat16 (MatMul is `NOT_IMPLEMENTED`). It folds the casts at load: the file is
smaller, and the memory and the time of an inference are float32's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from makeweight.runtimes.onnxruntime.graphs import opset, store_outside
from makeweight.runtimes.onnxruntime.lean import write
from makeweight.runtimes.onnxruntime.normal import normal
from makeweight.runtimes.runtime import RecipeFailed

# The first opset whose Cast knows bfloat16.
_SINCE = 13
# What a cast takes in the file, in bytes, beside its names.
_NODE = 60


def to_bfloat16(source: Path, target: Path) -> None:
    """Write `source` to `target` with each float32 weight rounded to the nearest bfloat16, where it gets smaller by it.

    Raises:
        RecipeFailed: no weight does, the opset knows no bfloat16, or a weight would become infinite.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = normal(onnx.load(source))
    if (written := opset(model)) < _SINCE:
        raise RecipeFailed(f"bfloat16: the file is of opset {written}, and bfloat16 needs {_SINCE}; export it anew")
    # cast there, they are folded once, and not computed in every round of a loop
    store_outside(model.graph, lambda tensor: tensor.data_type == TensorProto.FLOAT)
    narrow, nodes = helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16), list[Any]()
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        values, name = numpy_helper.to_array(tensor), tensor.name
        if values.nbytes // 2 <= _NODE + 4 * len(name):
            continue
        with np.errstate(over="ignore"):
            rounded = values.astype(narrow)
        if np.isinf(rounded.astype(np.float32)[np.isfinite(values)]).any():
            raise RecipeFailed(f"bfloat16: a number of `{name}` is beyond its range and would become infinite")
        stored = f"{name}/bfloat16"
        tensor.CopyFrom(numpy_helper.from_array(rounded, stored))
        nodes.append(helper.make_node("Cast", [stored], [name], f"{name}/cast", to=TensorProto.FLOAT))
    if not nodes:
        raise RecipeFailed("bfloat16 changed nothing: no float32 weight of the graph gets smaller by it")
    made = [*nodes, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(made)
    write(model, target)
