"""Cross-layer equalization and bias correction: answers unchanged in float, and less error on integers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from integration.tiny_models import save, value
from makeweight.artifact.model import Model
from makeweight.artifact.ports import Feeds
from makeweight.runtimes.format import Format, Numbers
from makeweight.runtimes.onnxruntime import quantize
from makeweight.runtimes.onnxruntime.bias_correction import correct
from makeweight.runtimes.onnxruntime.equalization import equalize
from makeweight.runtimes.onnxruntime.mend import mend
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.runtimes.runtime import RecipeFailed

RNG = np.random.default_rng(14)
IMAGES = RNG.standard_normal((48, 3, 8, 8)).astype(np.float32)


def _uneven(*shape: int, axis: int = 0) -> NDArray[np.float32]:
    """Weights whose channels differ a hundredfold, as normalizations folded into them leave them."""
    scales = np.exp(RNG.uniform(-2.3, 2.3, [size if at == axis else 1 for at, size in enumerate(shape)]))
    weights: NDArray[np.float64] = RNG.standard_normal(shape) * scales / np.sqrt(np.prod(shape[1:]))
    return weights.astype(np.float32)


WEIGHTS = {
    "first": _uneven(12, 3, 3, 3),
    "first.bias": RNG.standard_normal(12).astype(np.float32),
    "depthwise": _uneven(12, 1, 3, 3),
    "grouped": _uneven(16, 6, 1, 1),
    "grouped.bias": RNG.standard_normal(16).astype(np.float32),
    "linear": _uneven(20, 64),
    "linear.bias": RNG.standard_normal(20).astype(np.float32),
    "last": _uneven(20, 5, axis=1),
}


def _node(kind: str, inputs: str, output: str, **attributes: Any) -> Any:
    return helper.make_node(kind, inputs.split(), [output], output, **attributes)


NODES = [
    _node("Conv", "image first first.bias", "a", pads=[1] * 4),
    _node("Relu", "a", "b"),
    _node("Conv", "b depthwise", "c", group=12, pads=[1] * 4),
    _node("LeakyRelu", "c", "d", alpha=0.1),
    _node("Conv", "d grouped grouped.bias", "e", group=2),
    _node("Relu", "e", "f"),
    _node("MaxPool", "f", "g", kernel_shape=[4, 4], strides=[4, 4]),
    _node("Flatten", "g", "h"),
    _node("Gemm", "h linear linear.bias", "i", transB=1),
    _node("Relu", "i", "j"),
    _node("MatMul", "j last", "y"),
]


class Cut:
    def feeds(self, size: int) -> Iterator[Feeds]:
        for start in range(0, len(IMAGES), size):
            yield {"image": IMAGES[start : start + size]}


def _saved(path: Path, nodes: list[Any] | None = None) -> Model:
    inputs, outputs = [value("image", ["N", 3, 8, 8])], [value("y", ["N", 5])]
    return OnnxRuntime().read(save(path, nodes or NODES, inputs, outputs, WEIGHTS))


def _ran(path: Path) -> NDArray[Any]:
    return np.asarray(OnnxRuntime().open(OnnxRuntime().read(path)).run({"image": IMAGES})[0]).astype(np.float64)


def _weights(model: Any) -> Mapping[str, NDArray[Any]]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def _by_tensor(model: Any, path: Path) -> NDArray[Any]:
    """What a graph answers with weights of 8 bits, one scale for each tensor."""
    coarse = type(model)()
    coarse.CopyFrom(model)
    for tensor in coarse.graph.initializer:
        if len(tensor.dims) > 1:
            weight = numpy_helper.to_array(tensor)
            scale = np.abs(weight).max() / 127
            rounded = np.rint(weight / scale) * scale
            tensor.CopyFrom(numpy_helper.from_array(rounded.astype(np.float32), tensor.name))
    onnx.save(coarse, path)
    return _ran(path)


def test_answers_stay_and_both_sides_of_a_channel_have_one_range(tmp_path: Path) -> None:
    source = _saved(tmp_path / "model.onnx")
    wanted, model = _ran(source.path), onnx.shape_inference.infer_shapes(onnx.load(source.path))
    coarse = _by_tensor(model, tmp_path / "coarse.onnx")
    mend(model)
    told = equalize(model.graph, ())
    assert told["equalized"] == ["a with c", "c with e", "e with i", "i with y"]
    assert told["not equalized"] == {"it gives an output of the model": ["MatMul y"]}
    onnx.save(model, tmp_path / "equalized.onnx")
    given = _ran(tmp_path / "equalized.onnx")
    assert np.abs(given - wanted).max() < 1e-5 * np.abs(wanted).max()
    after = {name: np.abs(weight) for name, weight in _weights(model).items()}
    # what a channel gives, and what reads it: of two groups, of four places, of a column
    first, depthwise = after["first"].max(axis=(1, 2, 3)), after["depthwise"].max(axis=(1, 2, 3))
    halves = np.concatenate([half.max(axis=(0, 2, 3)) for half in np.split(after["grouped"], 2)])
    grouped = after["grouped"].max(axis=(1, 2, 3))
    by_channel = after["linear"].reshape(20, 16, 4).max(axis=(0, 2))
    rows, last = after["linear"].max(axis=1), after["last"].max(axis=1)
    for one, other in ((first, depthwise), (depthwise, halves), (grouped, by_channel), (rows, last)):
        assert np.allclose(one, other, rtol=0.01)
    equalized = _by_tensor(model, tmp_path / "equalized-coarse.onnx")
    assert np.square(equalized - wanted).sum() < 0.5 * np.square(coarse - wanted).sum()


@pytest.mark.parametrize(
    ("between", "reason"),
    [
        (
            [_node("Clip", "a zero six", "b")],
            "Clip stands behind it, whose bounds would have to be others for each channel",
        ),
        ([_node("Sigmoid", "a", "b")], "Sigmoid stands behind it"),
        ([_node("Relu", "a", "r"), _node("Add", "r a", "b")], "what it gives is read more than once"),
        ([_node("Relu", "a", "r"), _node("Transpose", "r", "b", perm=[0, 1, 3, 2])], "Transpose stands behind it"),
        ([_node("Softplus", "first.bias", "s"), _node("PRelu", "s a", "b")], "PRelu stands behind it"),
    ],
    ids=["ReLU6", "another activation", "a residual", "turned", "what is read as a slope"],
)
def test_where_a_factor_does_not_go_through_nothing_is_changed(between: list[Any], reason: str) -> None:
    nodes = [NODES[0], *between, *NODES[2:]]
    stored = {**WEIGHTS, "zero": np.array(0, np.float32), "six": np.array(6, np.float32)}
    tensors = [numpy_helper.from_array(values, name) for name, values in stored.items()]
    graph = helper.make_graph(nodes, "g", [value("image", ["N", 3, 8, 8])], [value("y", ["N", 5])], tensors)
    told = equalize(graph, ("i",))
    assert told["not equalized"][reason] == ["Conv a"]
    assert told["not equalized"]["Flatten stands behind it"] == ["Conv e"]  # no shapes are known of it here
    assert told["equalized"] == ["c with e"]
    with pytest.raises(RecipeFailed, match="`equalize` finds no two layers of which one reads what the other gives"):
        equalize(graph, ("c", "i"))
    first = next(tensor for tensor in graph.initializer if tensor.name == "first")
    assert np.array_equal(numpy_helper.to_array(first), WEIGHTS["first"])


def test_a_dead_channel_is_not_blown_up() -> None:
    first, second = np.ones((4, 2), np.float32), np.ones((4, 3), np.float32)
    first[1], second[2] = 1e-9, 0
    tensors = [numpy_helper.from_array(values, name) for name, values in (("v", first.T.copy()), ("w", second))]
    nodes = [_node("MatMul", "x v", "h"), _node("MatMul", "h w", "y")]
    graph = helper.make_graph(nodes, "g", [value("x", ["N", 2])], [value("y", ["N", 3])], tensors)
    equalize(graph, ())
    assert np.array_equal(numpy_helper.to_array(graph.initializer[0]), first.T)
    assert np.array_equal(numpy_helper.to_array(graph.initializer[1]), second)


def test_the_mean_of_every_output_is_put_right(tmp_path: Path) -> None:
    source = _saved(tmp_path / "model.onnx", [*NODES[:9], _node("Gemm", "i last", "y")])
    wanted, off, notes = _ran(source.path), [], dict[str, Any]()
    for corrected in (False, True):
        how = Format(Numbers("int8"), Numbers("int8"), "static", "minmax", biases_corrected=corrected)
        made = OnnxRuntime().lower(source, how, Cut(), tmp_path / f"{corrected}.onnx", notes)
        assert OnnxRuntime().inspect(made).floating == 0
        off.append(np.abs((_ran(made.path) - wanted).mean(axis=0)))
    assert off[1].max() < 0.2 * off[0].max()
    # what is left is what a bias of 32 bits and an output of 8 bits round
    step = (wanted.max() - wanted.min()) / 255
    assert off[1].max() < step / 4 < off[0].max()
    assert list(notes["biases corrected"]) == ["a", "c", "e", "i", "y"]
    assert min(notes["biases corrected"].values()) > 0


def test_where_no_layer_has_a_bias_none_is_corrected() -> None:
    square = numpy_helper.from_array(RNG.standard_normal((8, 8)).astype(np.float32), "square")
    values = [value("x", ["N", 8])], [value("y", ["N", 8])]
    model = helper.make_model(helper.make_graph([_node("MatMul", "x square", "y")], "g", *values, [square]))
    with pytest.raises(RecipeFailed, match="`correct_bias` finds no convolution and no Gemm on integers"):
        correct(model, model, [])


def test_biases_that_cannot_be_corrected_are_not_tried_with_other_shapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes, weights = [_node("MatMul", "image last", "y")], {"last": WEIGHTS["last"]}
    values = [value("image", ["N", 3, 8, 20])], [value("y", ["N", 3, 8, 5])]
    source = OnnxRuntime().read(save(tmp_path / "model.onnx", nodes, *values, weights))
    prepared, prepare = [], quantize._prepare
    monkeypatch.setattr(quantize, "_prepare", lambda *places, **how: prepared.append(how) or prepare(*places, **how))

    class Wide:
        def feeds(self, size: int) -> Iterator[Feeds]:
            yield {"image": np.ones((1, 3, 8, 20), np.float32)}

    how = Format(Numbers("int8"), Numbers("int8"), "static", "minmax", biases_corrected=True)
    with pytest.raises(RecipeFailed, match="`correct_bias` finds no convolution and no Gemm on integers"):
        OnnxRuntime().lower(source, how, Wide(), tmp_path / "made.onnx")
    assert prepared == [{}]
