"""Sizes compare like with like: every file is without an exporter's notes, and 16-bit numbers take 16 bits."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
import pytest
from onnx import TensorProto, helper, numpy_helper

from makeweight.artifact.ports import Feeds
from makeweight.runtimes import traced
from makeweight.runtimes.format import FLOAT32, Format, Numbers
from makeweight.runtimes.onnxruntime.lean import lean
from makeweight.runtimes.onnxruntime.normal import normal
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.runtimes.runtime import RecipeFailed

FLOAT16 = Format(Numbers("float16"), Numbers("float16"))
STACK = "File '/home/somebody/model.py', line 7, in forward: return self.head(x)"


def _noted(model: Any, stack: str) -> Any:
    """What torch.onnx.export leaves of every node and value."""
    noted = copy.deepcopy(model)
    for part in (*noted.graph.node, *noted.graph.value_info, *noted.graph.initializer, noted.graph):
        part.metadata_props.add(key="pkg.torch.onnx.stack_trace", value=stack)
        part.doc_string = stack
    noted.metadata_props.add(key="names", value="cat,dog")
    return noted


def test_a_variant_is_as_much_smaller_whatever_the_exporter_noted(
    runtime: OnnxRuntime, exported: Path, tmp_path: Path
) -> None:
    ratios = {}
    for times in (0, 100):
        folder = tmp_path / str(times)
        folder.mkdir()
        given = folder / "given.onnx"
        onnx.save(_noted(onnx.load(exported), STACK * times), given)
        runtime.lower(runtime.read(given), FLOAT32, None, folder / "baseline.onnx")
        runtime.lower(runtime.read(folder / "baseline.onnx"), FLOAT16, None, folder / "half.onnx")
        sizes = {path.stem: path.stat().st_size for path in folder.iterdir()}
        ratios[times] = sizes["half"] / sizes["baseline"]
        assert STACK.encode() not in (folder / "half.onnx").read_bytes()
    assert given.stat().st_size > 100 * len(STACK) + (folder / "baseline.onnx").stat().st_size
    assert ratios[0] == ratios[100]


def test_what_is_said_of_the_whole_model_stays(runtime: OnnxRuntime, exported: Path, tmp_path: Path) -> None:
    given, target = tmp_path / "given.onnx", tmp_path / "baseline.onnx"
    onnx.save(_noted(onnx.load(exported), STACK), given)
    model = runtime.lower(runtime.read(given), FLOAT32, None, target)
    assert model.size == target.stat().st_size
    assert {entry.key: entry.value for entry in onnx.load(target).metadata_props} == {"names": "cat,dog"}


@pytest.mark.parametrize("location", ["weights.bin", "./model.onnx.data"], ids=["by name", "by path"])
def test_notes_are_left_out_where_the_weights_lie_in_a_file_of_their_own(
    runtime: OnnxRuntime, exported: Path, images: Feeds, answers: Any, tmp_path: Path, location: str
) -> None:
    given = tmp_path / "given" / "model.onnx"
    given.parent.mkdir()
    noted = _noted(onnx.load(exported), STACK)
    onnx.save(noted, given, save_as_external_data=True, location=location)
    model = runtime.lower(runtime.read(given), FLOAT32, None, tmp_path / "model.onnx")
    assert (tmp_path / location).read_bytes() == (given.parent / location).read_bytes()
    assert STACK.encode() not in (tmp_path / "model.onnx").read_bytes()
    np.testing.assert_allclose(runtime.open(model).run(images)[0], answers, rtol=0, atol=1e-4)


@pytest.mark.parametrize("among_inputs", [False, True], ids=["constants", "constants that are inputs too"])
def test_half_a_float_is_two_bytes(runtime: OnnxRuntime, among_inputs: bool, tmp_path: Path) -> None:
    source, target = tmp_path / "model.onnx", tmp_path / "half.onnx"
    onnx.save(_product(np.full((64, 64), 3.0), among_inputs), source)
    runtime.lower(runtime.read(source), FLOAT16, None, target)
    assert 2 * 64 * 64 < target.stat().st_size < 2 * 64 * 64 + 500


def test_weights_that_are_fed_leave_nothing_to_convert(runtime: OnnxRuntime, tmp_path: Path) -> None:
    model = _product(np.ones((4, 4)), among_inputs=True)
    del model.graph.initializer[:]
    model.graph.initializer.append(numpy_helper.from_array(np.float32(0.5), "half"))
    model.graph.node.append(helper.make_node("Mul", ["y", "half"], ["z"]))
    model.graph.output[0].name = "z"
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(RecipeFailed, match="no 32-bit floating-point weights, and its 2 inputs"):
        runtime.lower(runtime.read(tmp_path / "model.onnx"), FLOAT16, None, tmp_path / "half.onnx")
    assert not (tmp_path / "half.onnx").exists()


@pytest.mark.parametrize("kind", ["FLOAT16", "INT8", "UINT8", "BOOL"])
def test_narrow_numbers_are_the_same_when_they_are_stored_raw(kind: str) -> None:
    number = getattr(TensorProto, kind)
    values = np.array([0, 1, 100, 1] if kind in ("UINT8", "BOOL") else [-128, -1, 0, 100])
    tensor = helper.make_tensor("w", number, [4], values.astype(helper.tensor_dtype_to_np_dtype(number)))
    expected = numpy_helper.to_array(tensor).copy()
    model = helper.make_model(helper.make_graph([helper.make_node("Constant", [], ["c"], value=tensor)], "g", [], []))
    lean(model)
    stored = model.graph.node[0].attribute[0].t
    assert len(stored.raw_data) == expected.nbytes
    np.testing.assert_array_equal(numpy_helper.to_array(stored), expected)


def _product(weight: Any, among_inputs: bool) -> Any:
    """Its weight written number by number, as older exporters do."""
    rows, columns = weight.shape
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", rows])]
    if among_inputs:
        inputs.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [rows, columns]))
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        inputs,
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", columns])],
        [helper.make_tensor("w", TensorProto.FLOAT, [rows, columns], weight.ravel())],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _heard(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[int]:
    """How large the models are that a function of onnx's is called with: each is one message to it."""
    function, sizes = getattr(module, name), list[int]()

    def hear(model: Any, *others: Any, **named: Any) -> Any:
        sizes.append(model.ByteSize())
        return function(model, *others, **named)

    monkeypatch.setattr(module, name, hear)
    return sizes


def test_what_one_file_cannot_hold_lies_beside_it(
    runtime: OnnxRuntime, exported: Path, images: Feeds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = runtime.read(exported), tmp_path / "half.onnx"
    whole = runtime.lower(source, FLOAT16, None, tmp_path / "whole.onnx")
    with monkeypatch.context() as small:
        small.setattr(traced, "LARGEST", 1000)
        inferred = _heard(small, onnx.shape_inference, "infer_shapes")
        split = runtime.lower(source, FLOAT16, None, target)
        assert max(inferred) < exported.stat().st_size / 2
        assert [file.name for file in split.files] == ["half.onnx", "half.onnx.data"]
        assert split.files[0].size < whole.size / 2
        with pytest.raises(
            RecipeFailed, match=r"the weights take 0\.0 GB, and ONNX Runtime's quantizer takes a model of"
        ):
            runtime.lower(source, Format(Numbers("int8", "tensor"), ranges="dynamic"), None, tmp_path / "int8.onnx")
        stored = onnx.load(target, load_external_data=False).graph.initializer
        entries = [entry for tensor in stored for entry in tensor.external_data]
        assert {int(entry.value) % 4096 for entry in entries if entry.key == "offset"} == {0}
    assert runtime.inspect(split) == runtime.inspect(whole)
    (wanted,), (given,) = (runtime.open(model).run(images) for model in (whole, split))
    np.testing.assert_array_equal(given, wanted)
    again = runtime.lower(source, FLOAT16, None, target)
    assert [file.name for file in again.files] == ["half.onnx"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["half.onnx", "whole.onnx"]


def test_functions_are_written_out_without_the_weights_in_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = np.random.default_rng(0).standard_normal((64, 32)).astype(np.float32)
    model = _product(weight, among_inputs=False)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "w"))
    twice = [helper.make_node("Add", ["a", "a"], ["b"])]
    model.functions.append(helper.make_function("own", "Twice", ["a"], ["b"], twice, [helper.make_opsetid("", 17)]))
    model.opset_import.append(helper.make_opsetid("own", 1))
    model.graph.node.append(helper.make_node("Twice", ["y"], ["z"], domain="own"))
    model.graph.output[0].name = "z"
    before = model.SerializeToString(deterministic=True)
    written_out = _heard(monkeypatch, onnx.inliner, "inline_local_functions")
    made = normal(model)
    assert max(written_out) < weight.nbytes
    assert [node.op_type for node in made.graph.node] == ["MatMul", "Add"]
    np.testing.assert_array_equal(numpy_helper.to_array(made.graph.initializer[0]), weight)
    assert model.SerializeToString(deterministic=True) == before
