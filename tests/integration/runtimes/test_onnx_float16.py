"""Half precision: half the bytes, answers as near as eleven bits allow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from makeweight.artifact.ports import Feeds
from makeweight.runtimes.onnxruntime.float16 import to_float16
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.runtimes.runtime import RecipeFailed


def test_weights_are_halved_and_answers_stay(
    runtime: OnnxRuntime,
    exported: Path,
    images: Feeds,
    answers: Any,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "half.onnx"
    to_float16(exported, path)
    assert {t.data_type for t in onnx.load(path).graph.initializer} <= {TensorProto.FLOAT16, TensorProto.INT64}
    assert path.stat().st_size < 0.6 * exported.stat().st_size
    model = runtime.read(path)
    session = runtime.open(model)
    assert (model.inputs[0].dtype, model.outputs[0].dtype) == ("float32", "float32")
    (given,) = session.run(images)
    assert 0 < np.abs(given - answers).max() < 2**-9 * np.abs(answers).max()
    assert capfd.readouterr() == ("", "")


def test_the_file_is_valid_and_the_same_every_time(runtime: OnnxRuntime, exported: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "1.onnx", tmp_path / "2.onnx"
    to_float16(exported, first)
    to_float16(exported, second)
    onnx.checker.check_model(first.read_bytes(), full_check=True)
    assert first.read_bytes() == second.read_bytes()
    assert runtime.inspect(runtime.read(first)).macs == runtime.inspect(runtime.read(exported)).macs


def test_nothing_to_convert_is_a_reason(runtime: OnnxRuntime, exported: Path, tmp_path: Path) -> None:
    once, twice = tmp_path / "once.onnx", tmp_path / "twice.onnx"
    to_float16(exported, once)
    with pytest.raises(RecipeFailed, match="float16 changed nothing: the graph holds no 32-bit"):
        to_float16(once, twice)
    assert not twice.exists()


def test_what_a_branch_takes_from_outside_stays_before_it(runtime: OnnxRuntime, tmp_path: Path) -> None:
    weight = helper.make_tensor("w", TensorProto.FLOAT, [4], [1.0, 2.0, 3.0, 4.0])

    def branch(name: str, operator: str) -> Any:
        out = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        return helper.make_graph([helper.make_node(operator, ["t"], [name])], name, [], [out])

    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["x", "w"], ["t"]),
            helper.make_node("If", ["c"], ["y"], then_branch=branch("a", "Relu"), else_branch=branch("b", "Neg")),
        ],
        "g",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4]),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])],
        [weight],
    )
    source, target = tmp_path / "model.onnx", tmp_path / "half.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), source)
    to_float16(source, target)
    onnx.checker.check_model(target.read_bytes())
    (given,) = runtime.open(runtime.read(target)).run({"x": np.full((1, 4), 2, np.float32), "c": np.array(False)})
    np.testing.assert_array_equal(given, [[-2, -4, -6, -8]])


def test_what_a_product_reads_of_a_transposition_is_float32_so_that_the_file_opens(
    runtime: OnnxRuntime, tmp_path: Path
) -> None:
    drawn = np.random.default_rng(0)
    weight = drawn.normal(size=(4, 5)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Relu", ["x"], ["r"]),
            helper.make_node("Transpose", ["r"], ["t"], perm=[1, 0, 2]),
            helper.make_node("MatMul", ["t", "w"], ["y"]),
        ],
        "turned",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", "T", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["T", "N", 5])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    source, target = tmp_path / "turned.onnx", tmp_path / "half.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), source)
    to_float16(source, target)
    half = onnx.shape_inference.infer_shapes(onnx.load(target)).graph
    (turned,) = (node for node in half.node if node.op_type == "Transpose")
    types = {each.name: each.type.tensor_type.elem_type for each in half.value_info}
    assert types[turned.output[0]] == TensorProto.FLOAT
    assert [each.data_type for each in half.initializer if list(each.dims) == [4, 5]] == [TensorProto.FLOAT16]
    given = drawn.normal(size=(3, 2, 4)).astype(np.float32)
    (answer,) = runtime.open(runtime.read(target)).run({"x": given})
    assert np.allclose(answer, np.maximum(given, 0).transpose(1, 0, 2) @ weight, atol=2e-2)


def test_a_constant_that_a_product_reads_turned_is_halved(runtime: OnnxRuntime, tmp_path: Path) -> None:
    drawn = np.random.default_rng(0)
    weight = drawn.normal(size=(5, 4)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Transpose", ["w"], ["t"], perm=[1, 0]),
            helper.make_node("MatMul", ["x", "t"], ["y"]),
        ],
        "turned",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 5])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    source, target = tmp_path / "turned.onnx", tmp_path / "half.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), source)
    to_float16(source, target)
    assert [each.data_type for each in onnx.load(target).graph.initializer] == [TensorProto.FLOAT16]
    given = drawn.normal(size=(3, 4)).astype(np.float32)
    (answer,) = runtime.open(runtime.read(target)).run({"x": given})
    np.testing.assert_allclose(answer, given @ weight.T, atol=0.02)
