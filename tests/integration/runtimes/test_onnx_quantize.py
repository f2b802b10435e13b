"""Integers: unsigned activations, signed weights, everything fused; and a reason where nothing came of it."""

from __future__ import annotations

import errno
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from makeweight.artifact.ports import Feeds
from makeweight.runtimes.format import FLOAT32, Format, Numbers
from makeweight.runtimes.histograms import Histogram
from makeweight.runtimes.onnxruntime import quantize
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.runtimes.runtime import RecipeFailed

METHODS = ("minmax", "entropy", "percentile", "mse")


class Cut:
    """Examples in batches of a size of their own, whatever is asked for."""

    def __init__(self, feeds: Feeds, size: int = 32) -> None:
        self._feeds, self._size = feeds, size

    def feeds(self, size: int) -> Iterator[Feeds]:
        for start in range(0, len(self._feeds["image"]), self._size):
            yield {"image": self._feeds["image"][start : start + self._size]}


def _static(observer: Any = "minmax", *, per_channel: bool = True) -> Format:
    scales: Any = "channel" if per_channel else "tensor"
    return Format(Numbers("int8", scales), Numbers("int8"), "static", observer)


DYNAMIC = Format(Numbers("int8", "channel"), Numbers("int8"), "dynamic")


@pytest.fixture(scope="module")
def quantized(runtime: OnnxRuntime, exported: Path, images: Feeds, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("quantized") / "model.onnx"
    quantize.quantize(runtime.read(exported), path, _static(), Cut(images))
    return path


def test_activations_are_unsigned_and_weights_signed_by_channel(quantized: Path) -> None:
    graph = onnx.load(quantized).graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    activations = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    assert activations
    assert {tensors[node.input[2]].data_type for node in activations} == {TensorProto.UINT8}
    scales = {node.input[0]: tensors[node.input[1]] for node in graph.node if node.op_type == "DequantizeLinear"}
    weights = {name: tensor for name, tensor in tensors.items() if name in scales and len(tensor.dims) > 1}
    assert len(weights) == 3
    for name, tensor in weights.items():
        assert tensor.data_type == TensorProto.INT8
        assert list(scales[name].dims) == [tensor.dims[0]]  # one scale for each output channel


def test_every_convolution_and_product_runs_on_integers(runtime: OnnxRuntime, quantized: Path, exported: Path) -> None:
    facts = runtime.inspect(runtime.read(quantized))
    assert facts.operators["QLinearConv"] == 2
    assert facts.operators["QGemm"] == 1
    assert facts.operators["QLinearAdd"] == 1
    assert not {"Conv", "FusedConv", "Gemm", "Relu"} & set(facts.operators)
    assert (facts.quantized, facts.floating) == (3, 0)
    before = runtime.inspect(runtime.read(exported))
    assert (before.quantized, before.floating) == (0, 3)
    assert (facts.parameters, facts.macs) == (before.parameters, before.macs)


@pytest.mark.parametrize("calibrate", METHODS)
def test_answers_stay_near_those_of_the_module(
    runtime: OnnxRuntime, exported: Path, images: Feeds, answers: Any, tmp_path: Path, calibrate: str
) -> None:
    path = tmp_path / "model.onnx"
    # the last batch is smaller than the others
    quantize.quantize(runtime.read(exported), path, _static(calibrate), Cut(images, 40))
    (given,) = runtime.open(runtime.read(path)).run(images)
    assert np.abs(given - answers).max() < 0.05 * np.abs(answers).max()
    assert not np.array_equal(given, answers)


def test_the_same_calibration_gives_the_same_bytes(
    runtime: OnnxRuntime, exported: Path, quantized: Path, images: Feeds, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    quantize.quantize(runtime.read(exported), path, _static(), Cut(images))
    assert path.read_bytes() == quantized.read_bytes()
    source = hashlib.sha256(exported.read_bytes())
    quantize.quantize(runtime.read(exported), path, _static(per_channel=False), Cut(images))
    assert path.read_bytes() != quantized.read_bytes()
    assert hashlib.sha256(exported.read_bytes()).digest() == source.digest()


def test_histograms_are_taken_a_batch_at_a_time(
    runtime: OnnxRuntime, exported: Path, images: Feeds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise every activation of every example is in memory at once."""
    seen = []
    add = Histogram.add

    def spy(self: Histogram, values: Any) -> None:
        seen.extend([len(values)] if values.shape[1:] == (1, 8, 8) else [])
        add(self, values)

    monkeypatch.setattr(Histogram, "add", spy)
    few = {"image": images["image"][:80]}
    quantize.quantize(runtime.read(exported), tmp_path / "model.onnx", _static("entropy"), Cut(few, 40))
    assert seen == [32, 32, 16]


@pytest.mark.parametrize("calibrate", METHODS)
def test_neither_order_nor_cut_of_the_examples_counts(
    runtime: OnnxRuntime, exported: Path, images: Feeds, tmp_path: Path, calibrate: str
) -> None:
    some, path = images["image"][:70], tmp_path / "model.onnx"

    def made(order: list[int], size: int) -> bytes:
        quantize.quantize(runtime.read(exported), path, _static(calibrate), Cut({"image": some[order]}, size))
        return path.read_bytes()

    first = made(list(range(70)), 32)

    @settings(max_examples=3, deadline=None)
    @given(st.permutations(range(70)), st.integers(1, 80))
    def the_same(order: list[int], size: int) -> None:
        assert made(list(order), size) == first

    the_same()


def test_ranges_are_those_of_the_examples(runtime: OnnxRuntime, exported: Path, images: Feeds, tmp_path: Path) -> None:
    """The input's, for which numpy knows the answer."""
    values = np.random.default_rng(0).standard_normal((96, 1, 8, 8)).astype(np.float32)
    values[0, 0, 0, 0] = 40
    path = tmp_path / "model.onnx"
    quantize.quantize(runtime.read(exported), path, _static(), Cut({"image": values}))
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    assert stored["image_scale"] == pytest.approx((40 - values.min()) / 255, rel=1e-6)


def test_dynamic_reaches_products_only(
    runtime: OnnxRuntime, exported: Path, images: Feeds, answers: Any, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    quantize.quantize(runtime.read(exported), path, DYNAMIC, None)
    types = Counter(node.op_type for node in onnx.load(path).graph.node)
    assert types["MatMulInteger"] == 1
    assert types["Conv"] == 2
    (given,) = runtime.open(runtime.read(path)).run(images)
    assert 0 < np.abs(given - answers).max() < 0.05 * np.abs(answers).max()
    facts = runtime.inspect(runtime.read(path))
    assert (facts.quantized, facts.floating) == (1, 2)
    assert facts.parameters == runtime.inspect(runtime.read(exported)).parameters


def test_dynamic_reaches_a_table_of_vectors_and_the_recurrence_behind_it(runtime: OnnxRuntime, tmp_path: Path) -> None:
    rng, width, hidden, words = np.random.default_rng(0), 32, 64, 500
    weights = {
        "table": rng.normal(size=(words, width)),
        "w": rng.normal(0, 0.1, (1, 4 * hidden, width)),
        "r": rng.normal(0, 0.1, (1, 4 * hidden, hidden)),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "tokens"], ["vectors"]),
            helper.make_node("LSTM", ["vectors", "w", "r"], ["", "y"], hidden_size=hidden),
        ],
        "g",
        [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["T", "N"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, "N", hidden])],
        [numpy_helper.from_array(values.astype(np.float32), name) for name, values in weights.items()],
    )
    model, path = tmp_path / "lstm.onnx", tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), model)
    quantize.quantize(runtime.read(model), path, DYNAMIC, None)

    large = [tensor for tensor in onnx.load(path).graph.initializer if np.prod(tensor.dims) >= words]
    assert [tensor.data_type for tensor in large] == [TensorProto.UINT8, TensorProto.INT8, TensorProto.INT8]
    assert path.stat().st_size < model.stat().st_size / 3
    # scales and zero points of the recurrence are no parameters
    assert runtime.inspect(runtime.read(path)).parameters == sum(each.size for each in weights.values())
    tokens = {"tokens": rng.integers(0, words, (6, 5))}
    (given,), (wanted,) = runtime.open(runtime.read(path)).run(tokens), runtime.open(runtime.read(model)).run(tokens)
    assert 0 < np.abs(given - wanted).max() < 0.05 * np.abs(wanted).max()


def _onnx_file(path: Path, nodes: list[Any], shape: list[Any], weights: dict[str, Any], opset: int = 18) -> Path:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


@pytest.fixture
def convolution(tmp_path: Path) -> Path:
    """A convolution alone, written by hand, with a batch that is fixed, in an opset of 2019."""
    weights = {"w": np.random.default_rng(0).standard_normal((4, 1, 3, 3)).astype(np.float32)}
    return _onnx_file(
        tmp_path / "hand.onnx", [helper.make_node("Conv", ["image", "w"], ["y"])], [8, 1, 8, 8], weights, opset=11
    )


def test_dynamic_on_convolutions_alone_says_why_it_did_nothing(
    runtime: OnnxRuntime, convolution: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RecipeFailed) as caught:
        quantize.quantize(runtime.read(convolution), tmp_path / "model.onnx", DYNAMIC, None)
    assert str(caught.value) == (
        "dynamic quantization changed nothing: it reaches MatMul, Gemm and LSTM with constant weights, and the graph "
        "has 1 Conv; use `method: static`"
    )
    assert not (tmp_path / "model.onnx").exists()
    assert capfd.readouterr() == ("", "")


def test_a_file_of_another_tool_with_a_fixed_batch_and_an_old_opset(
    runtime: OnnxRuntime, convolution: Path, images: Feeds, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.onnx"
    quantize.quantize(runtime.read(convolution), path, _static(), Cut(images, 8))
    assert runtime.inspect(runtime.read(path)).operators["QLinearConv"] == 1
    feeds = {"image": images["image"][:8]}
    (given,), (wanted,) = (
        runtime.open(runtime.read(path)).run(feeds),
        runtime.open(runtime.read(convolution)).run(feeds),
    )
    assert np.abs(given - wanted).max() < 0.05 * np.abs(wanted).max()
    assert capfd.readouterr() == ("", "")


def test_twice_is_refused(runtime: OnnxRuntime, quantized: Path, images: Feeds, tmp_path: Path) -> None:
    with pytest.raises(RecipeFailed, match="the graph is quantized already"):
        quantize.quantize(runtime.read(quantized), tmp_path / "model.onnx", _static(), Cut(images))


def test_a_graph_without_products_gains_nothing(runtime: OnnxRuntime, images: Feeds, tmp_path: Path) -> None:
    source = _onnx_file(tmp_path / "relu.onnx", [helper.make_node("Relu", ["image"], ["y"])], ["N", 1, 8, 8], {})
    with pytest.raises(RecipeFailed, match="the graph has no convolution and no product"):
        quantize.quantize(runtime.read(source), tmp_path / "model.onnx", _static(), Cut(images))


def test_what_the_quantizer_raises_becomes_a_reason(
    runtime: OnnxRuntime, exported: Path, images: Feeds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ValueError("a scale is missing\nand more")

    monkeypatch.setattr(quantize, "_static", broken)
    with pytest.raises(
        RecipeFailed, match=r"^ONNX Runtime's quantizer failed: a scale is missing and more; .*\(0, 3.body.0, 6\)$"
    ):
        quantize.quantize(runtime.read(exported), tmp_path / "model.onnx", _static(), Cut(images))


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), OSError),
        (RuntimeError("open file /tmp/x fail, errcode = 28 - No space left on device"), OSError),
        (RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc"), MemoryError),
    ],
)
def test_a_machine_that_fails_is_not_told_as_a_recipe_that_does(
    runtime: OnnxRuntime,
    exported: Path,
    images: Feeds,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    raised: Exception,
    expected: type[Exception],
) -> None:
    def broken(*_: Any) -> None:
        raise raised

    monkeypatch.setattr(quantize, "_static", broken)
    with pytest.raises(expected):
        quantize.quantize(runtime.read(exported), tmp_path / "model.onnx", _static(), Cut(images))


def test_signed_activations_are_never_let_through() -> None:
    def model(kind: int) -> Any:
        scale = helper.make_tensor("s", TensorProto.FLOAT, [], [0.1])
        zero = helper.make_tensor("z", kind, [], [0])
        node = helper.make_node("QuantizeLinear", ["image", "s", "z"], ["y"])
        return helper.make_model(helper.make_graph([node], "g", [], [], [scale, zero]))

    quantize._refuse_signed_activations(model(TensorProto.UINT8))
    with pytest.raises(RecipeFailed, match="the activation `image` would be signed"):
        quantize._refuse_signed_activations(model(TensorProto.INT8))


@pytest.mark.parametrize(
    ("asked", "on_integers", "left"),
    [
        (
            {"exceptions": (("6", FLOAT32),)},
            {"QLinearConv": 2, "Gemm": 1},
            {"`exclude` names it": ["Gemm 6/node_linear"]},
        ),
        ({"exceptions": (("3", FLOAT32),)}, {"QLinearConv": 1, "QGemm": 1}, None),
        ({"exceptions": (("*body*", FLOAT32),)}, {"QLinearConv": 1, "QGemm": 1}, None),
        (
            {"operators": ("Conv",)},
            {"QLinearConv": 2, "Gemm": 1},
            {"`operators` does not name it": ["Gemm 6/node_linear"]},
        ),
        ({"operators": ("MatMul",)}, {"QGemm": 1, "QLinearConv": None}, None),
    ],
    ids=["a module by name", "a part of the model", "a pattern", "operators", "a product, fused or not"],
)
def test_what_the_recipe_leaves_out_stays_in_floating_point(
    runtime: OnnxRuntime,
    exported: Path,
    images: Feeds,
    tmp_path: Path,
    asked: dict[str, Any],
    on_integers: dict[str, int | None],
    left: Any,
) -> None:
    path, notes = tmp_path / "model.onnx", dict[str, Any]()
    quantize.quantize(runtime.read(exported), path, replace(_static(), **asked), Cut(images), notes)
    counted = runtime.inspect(runtime.read(path)).operators
    assert {name: counted.get(name) for name in on_integers} == on_integers
    if left is not None:
        assert notes["left in float"] == left


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"exceptions": (("conv1", FLOAT32),)}, "in `exclude`, `conv1` fits no layer; there are 0, 3.body.0, 6"),
        ({"operators": ("Convolution",)}, "`operators` names `Convolution`; the graph has Add, Conv, Gemm"),
        ({"exceptions": (("*", FLOAT32),)}, "what `exclude` and `operators` leave of that"),
    ],
    ids=["no such layer", "no such operator", "nothing left"],
)
def test_a_recipe_that_names_what_is_not_there_is_refused(
    runtime: OnnxRuntime, exported: Path, images: Feeds, tmp_path: Path, asked: dict[str, Any], says: str
) -> None:
    with pytest.raises(RecipeFailed, match=re.escape(says)):
        quantize.quantize(runtime.read(exported), tmp_path / "q.onnx", replace(_static(), **asked), Cut(images))


def test_shapes_are_followed_through_operators_that_onnx_does_not_know(runtime: OnnxRuntime, tmp_path: Path) -> None:
    """Behind ONNX Runtime's own Gelu, plain inference knows no type, and the product there would be left alone."""
    rng = np.random.default_rng(0)
    weights = [numpy_helper.from_array(rng.standard_normal((8, 8)).astype(np.float32), name) for name in "ab"]
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["image", "a"], ["h"]),
            helper.make_node("Gelu", ["h"], ["g"], domain="com.microsoft"),
            helper.make_node("MatMul", ["g", "b"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 8])],
        weights,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    source, target, notes = tmp_path / "model.onnx", tmp_path / "q.onnx", dict[str, Any]()
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), source)
    fed = {"image": rng.standard_normal((16, 8)).astype(np.float32)}
    quantize.quantize(runtime.read(source), target, _static(), Cut(fed), notes)
    assert notes == {
        "tried once more": "with shapes followed by symbols, since plain inference knows no type of `g`, which MatMul "
        "reads"
    }
    integers = {node.output[0] for node in onnx.load(target).graph.node if node.op_type == "DequantizeLinear"}
    assert all(set(node.input) <= integers for node in onnx.load(target).graph.node if node.op_type == "MatMul")
