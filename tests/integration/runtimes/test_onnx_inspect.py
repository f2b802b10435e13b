"""What is counted in a file, against what the module is known to hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime


def test_parameters_and_macs_are_those_of_the_module(runtime: OnnxRuntime, network: Any, exported: Path) -> None:
    facts = runtime.inspect(runtime.read(exported))
    convolutions, head = 32 * 9 + 32 * 32 * 9, 32 * 10
    # a folded normalization leaves one bias for each channel
    assert facts.parameters == convolutions + head + 10 + 32 + 32
    assert facts.macs == 64 * convolutions + head
    assert facts.operators["Conv"] == 2
    assert sum(facts.operators.values()) < len(onnx.load(exported).graph.node)  # activations are fused


def test_shapes_and_indices_are_no_parameters(runtime: OnnxRuntime, tmp_path: Path) -> None:
    inner = helper.make_graph(
        [helper.make_node("Mul", ["r", "k"], ["m"])],
        "inner",
        [],
        [helper.make_tensor_value_info("m", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ones(5, np.float32), "k")],
    )
    graph = helper.make_graph(
        [
            helper.make_node("Reshape", ["x", "shape"], ["r"]),
            helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.array(True))),
            helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array([-1, 5]), "shape")],
    )
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    facts = runtime.inspect(runtime.read(path))
    assert facts.parameters == 10  # five in each branch
    assert facts.macs is None


def test_inspecting_leaves_nothing_behind(runtime: OnnxRuntime, exported: Path) -> None:
    before = sorted(path.name for path in exported.parent.iterdir())
    runtime.inspect(runtime.read(exported))
    assert sorted(path.name for path in exported.parent.iterdir()) == before
