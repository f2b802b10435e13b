"""What ONNX Runtime would not take is told as a sentence about the user's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight_base.errors import UsageError


def _model(operator: str, *, domain: str = "", opset: int = 18, ir: int = 9, kind: int = TensorProto.FLOAT) -> bytes:
    opsets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    value = [helper.make_tensor_value_info(name, kind, [1, 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node(operator, ["x"], ["y"], domain=domain)], "g", value[:1], value[1:])
    content: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=ir).SerializeToString()
    return content


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "this is an empty file"),
        (LFS, "this is a Git LFS pointer, not the file itself"),
        (b"<!DOCTYPE html><html>not found</html>", "this is a web page"),
        (b"hello\n", "this is no ONNX file"),
        (b"\n\x10\n\x01x\x12\x0bPlaceholder", "this is a frozen graph of TensorFlow's"),
        (_model("Relu")[:-7], "the ONNX file is cut short or damaged"),
        (_model("Frobnicate"), "ONNX Runtime does not know the operator `Frobnicate`"),
        (_model("Frobnicate", domain="my.ops"), "ONNX Runtime does not know the operator `my.ops:Frobnicate`"),
        (_model("Relu", opset=99), "the file is newer than this ONNX Runtime"),
        (_model("Relu", ir=99), "the file is newer than this ONNX Runtime: Unsupported model IR version: 99"),
        (_model("Neg", kind=TensorProto.BFLOAT16), "no CPU implementation of the operator `Neg` for the types"),
    ],
    ids=[
        "empty",
        "Git LFS",
        "HTML",
        "something else",
        "protobuf of another format",
        "cut short",
        "unknown operator",
        "operator of another domain",
        "opset of the future",
        "format of the future",
        "types without a kernel",
    ],
)
@pytest.mark.parametrize("verb", ["open", "inspect"])
def test_files_that_cannot_be_loaded(
    runtime: OnnxRuntime, tmp_path: Path, capfd: pytest.CaptureFixture[str], content: bytes, says: str, verb: str
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        getattr(runtime, verb)(runtime.read(path))
    assert says in caught.value.what
    assert caught.value.where == str(path)
    assert caught.value.do
    assert capfd.readouterr() == ("", "")


def test_no_file_and_a_folder(runtime: OnnxRuntime, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        runtime.open(runtime.read(tmp_path / "missing.onnx"))
    with pytest.raises(UsageError, match="this is a folder"):
        runtime.open(runtime.read(tmp_path))


def test_a_file_cut_short_anywhere_is_refused(runtime: OnnxRuntime, exported: Path, tmp_path: Path) -> None:
    content = exported.read_bytes()
    path = tmp_path / "model.onnx"
    for length in (10, len(content) // 3, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(UsageError):
            runtime.open(runtime.read(path))


def test_weights_in_another_file(runtime: OnnxRuntime, exported: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    model: Any = onnx.load(exported)
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=10)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(UsageError, match=r"the weights lie in `weights\.bin`, which is missing"):
        runtime.open(runtime.read(path))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (helper.make_sequence_type_proto, "input `x` is a sequence, and models are fed with arrays"),
        (helper.make_optional_type_proto, "input `x` is optional, and models are fed with arrays"),
    ],
    ids=["sequence", "optional"],
)
def test_an_input_that_is_no_array_is_told(runtime: OnnxRuntime, tmp_path: Path, make: Any, says: str) -> None:
    taken = helper.make_value_info("x", make(helper.make_tensor_type_proto(TensorProto.FLOAT, ["N"])))
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [taken], [taken])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    with pytest.raises(UsageError) as caught:
        runtime.read(path)
    assert (caught.value.what, caught.value.where) == (says, str(path))


def test_an_input_without_a_rank_is_no_single_number(runtime: OnnxRuntime, tmp_path: Path) -> None:
    taken = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", None), ("c", []))]
    nodes = [helper.make_node("Mul", ["x", "c"], ["y"])]
    graph = helper.make_graph(nodes, "g", taken, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    assert [(port.shape, port.ranked) for port in runtime.read(path).inputs] == [((), False), ((), True)]
