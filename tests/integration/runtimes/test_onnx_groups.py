"""Weights alone as integers in groups: what stands in the file, its bytes, and the numbers that it computes with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from integration.tiny_models import save, value
from makeweight.artifact.model import Model
from makeweight.runtimes.format import FLOAT32, Format, Numbers
from makeweight.runtimes.onnxruntime import groups
from makeweight.runtimes.onnxruntime.groups import in_bytes, nearest
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.runtimes.runtime import RecipeFailed

INNER, HIDDEN, OUTER = 100, 64, 40
RNG = np.random.default_rng(11)
WEIGHTS = {
    "first": RNG.standard_normal((HIDDEN, INNER), np.float32),
    "bias": RNG.standard_normal(HIDDEN, np.float32),
    "second": RNG.standard_normal((HIDDEN, OUTER), np.float32),
}
X = RNG.standard_normal((7, INNER), np.float32)


def _format(bits: int = 4, group: int = 32, **others: Any) -> Format:
    return Format(Numbers(f"int{bits}", "group", group), **others)


def _model(
    path: Path, weights: dict[str, NDArray[Any]] | None = None, nodes: list[Any] | None = None, *, wide: int = INNER
) -> Model:
    """A Gemm with a factor and a bias, and a product whose weight lies the other way."""
    first = helper.make_node("Gemm", ["x", "first", "bias"], ["hidden"], "gemm", transB=1, alpha=0.5)
    nodes = nodes or [first, helper.make_node("MatMul", ["hidden", "second"], ["y"], "product")]
    save(path, nodes, [value("x", ["N", wide])], [value("y", ["N", None])], WEIGHTS | (weights or {}))
    return OnnxRuntime().read(path)


def _lowered(source: Model, how: Format, folder: Path) -> tuple[Model, dict[str, Any]]:
    notes: dict[str, Any] = {}
    return OnnxRuntime().lower(source, how, None, folder / "made.onnx", notes), notes


def _dequantized(graph: Any, node: Any) -> NDArray[Any]:
    """A weight [inner, outputs] as the operator's documentation says it is stored."""
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    about = {attribute.name: attribute.i for attribute in node.attribute}
    stored, scales = (tensors[name] for name in node.input[1:3])
    if about["bits"] == 4:
        stored = np.stack([stored & 15, stored >> 4], axis=-1)
    steps = stored.reshape(about["N"], -1, about["block_size"]).astype(np.float64) - 2 ** (about["bits"] - 1)
    rows = (steps * scales.reshape(about["N"], -1, 1)).reshape(about["N"], -1)
    assert not rows[:, about["K"] :].any()
    return rows[:, : about["K"]].T


def _exactly(made: Model, folder: Path) -> NDArray[Any]:
    """What the file answers where its products may not round what they multiply."""
    model = onnx.load(made.path)
    for node in model.graph.node:
        for attribute in [each for each in node.attribute if each.name == "accuracy_level"]:
            assert attribute.i == 4
            node.attribute.remove(attribute)
    onnx.save(model, folder / "exact.onnx")
    (given,) = OnnxRuntime().open(OnnxRuntime().read(folder / "exact.onnx")).run({"x": X})
    return np.asarray(given)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("group", [16, 32, 128])
def test_the_operator_its_bytes_and_its_numbers(bits: int, group: int, tmp_path: Path) -> None:
    source = _model(tmp_path / "model.onnx")
    made, notes = _lowered(source, _format(bits, group), tmp_path)
    graph = onnx.load(made.path).graph
    assert [node.op_type for node in graph.node] == ["MatMulNBits", "Add", "MatMulNBits"]
    assert notes == {}
    first, second = (_dequantized(graph, node) for node in graph.node if node.op_type == "MatMulNBits")
    wanted = (X @ first + WEIGHTS["bias"]) @ second
    assert np.allclose(_exactly(made, tmp_path), wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
    (given,) = OnnxRuntime().open(made).run({"x": X})
    # rounding to 8 bits twice, in groups whose largest number is some three times the usual one
    assert 10 * np.log10(np.square(wanted).mean() / np.square(given - wanted).mean()) > 35
    # a step is a group's largest weight by 2^(bits-1); the other end of the scale is one short, a cut one more
    for stored, weight in ((first, WEIGHTS["first"].T / 2), (second, WEIGHTS["second"])):
        assert np.abs(stored - weight).max() < np.abs(weight).max() / 2 ** (bits - 1) * (1.01 if bits == 8 else 2.5)
    blocks = HIDDEN * -(-INNER // group) + OUTER * -(-HIDDEN // group)
    packed = blocks * (group * bits // 8 + 4) + 4 * HIDDEN
    apart = made.path.stat().st_size - packed
    assert 0 < apart < 1000  # names and nodes
    facts, before = OnnxRuntime().inspect(made), OnnxRuntime().inspect(source)
    assert (facts.parameters, facts.macs) == (before.parameters, before.macs)
    assert (facts.quantized, facts.floating) == (2, 0)
    assert facts.operators["MatMulNBits"] == 2


def test_a_shorter_scale_is_taken_where_the_squared_error_is_less() -> None:
    rows = RNG.standard_normal((20, 64)).astype(np.float32)
    integers, scales = nearest(rows, 4, 32)
    steps = integers.reshape(20, 2, 32).astype(np.float64)
    given = np.square(steps * scales[..., None] - rows.reshape(20, 2, 32)).sum(axis=2)
    groups = rows.reshape(20, 2, 32)
    largest = np.take_along_axis(groups, np.abs(groups).argmax(axis=2)[..., None], axis=2)
    tried = []
    for part in np.arange(1, 0.69, -0.025):
        scale = largest * part / -8
        tried.append(np.square(np.clip(np.round(groups / scale), -8, 7) * scale - groups).sum(axis=2))
    assert np.allclose(given, np.min(tried, axis=0), rtol=1e-4)
    assert given.sum() < 0.95 * tried[0].sum()


def test_a_row_of_zeros_stays_one() -> None:
    steps, scales = nearest(np.zeros((2, 16), np.float32), 4, 16)
    assert (in_bytes(steps, 4, 16) == 0x88).all()
    assert not scales.any()


MATRIX = RNG.standard_normal((INNER, 40), np.float32)
NAN = np.where(np.arange(40) == 3, np.float32(np.nan), MATRIX)


PRODUCT = helper.make_node("MatMul", ["h", "w"], ["y"], "odd")
SQUARE = RNG.standard_normal((INNER, INNER), np.float32)


@pytest.mark.parametrize(
    ("weight", "nodes", "reason"),
    [
        (NAN, [PRODUCT], "its weight holds NaN or infinity"),
        (MATRIX[None], [PRODUCT], f"its weight has shape [1, {INNER}, 40], and a matrix is wanted"),
        (MATRIX.astype(np.float64), [PRODUCT], "its right factor is no constant of 32-bit floating point"),
        (
            MATRIX,
            [
                helper.make_node("Transpose", ["h"], ["t"], "t", perm=[1, 0]),
                helper.make_node("Gemm", ["t", "w"], ["y"], "odd", transA=1),
            ],
            "it transposes what it multiplies with its weight",
        ),
        (
            SQUARE,
            [helper.make_node("Add", ["h", "w"], ["m"], "sum"), helper.make_node("MatMul", ["m", "w"], ["y"], "odd")],
            "its weight is read by something else too, and would be kept in both forms",
        ),
    ],
    ids=["no number", "a stack of matrices", "another type", "transposed activations", "read by something else"],
)
def test_what_cannot_be_packed_stays_in_float_with_the_reason(
    weight: NDArray[Any], nodes: list[Any], reason: str
) -> None:
    first = helper.make_node("MatMul", ["x", "v"], ["h"], "packed")
    stored = [numpy_helper.from_array(values, name) for name, values in {"v": SQUARE, "w": weight}.items()]
    graph = helper.make_graph([first, *nodes], "tiny", [value("x", ["N", INNER])], [value("y", ["N", None])], stored)
    model, left = helper.make_model(graph), dict[str, str]()
    groups.pack(model, 4, 32, groups.REACHED, left)
    assert left == {"odd": reason}
    assert [node.op_type for node in model.graph.node] == ["MatMulNBits", *(node.op_type for node in nodes)]
    assert "w" in [tensor.name for tensor in model.graph.initializer]


def test_one_weight_of_two_products_is_stored_once(tmp_path: Path) -> None:
    weight = {"w": RNG.standard_normal((INNER, INNER), np.float32)}
    nodes = [helper.make_node("MatMul", [a, "w"], [b], b) for a, b in (("x", "h"), ("h", "y"))]
    made, _ = _lowered(_model(tmp_path / "model.onnx", weight, nodes), _format(), tmp_path)
    graph = onnx.load(made.path).graph
    assert len({node.input[1] for node in graph.node}) == 1
    weight_of = _dequantized(graph, graph.node[0])
    wanted = X @ weight_of @ weight_of
    assert np.allclose(_exactly(made, tmp_path), wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_excluded_layers_and_kinds_stay_in_float(tmp_path: Path) -> None:
    source = _model(tmp_path / "model.onnx")
    made, notes = _lowered(source, _format(exceptions=(("product", FLOAT32),)), tmp_path)
    assert notes == {"left in float": {"`exclude` names it": ["MatMul product"]}}
    assert [node.op_type for node in onnx.load(made.path).graph.node] == ["MatMulNBits", "Add", "MatMul"]
    with pytest.raises(RecipeFailed, match="`exclude`, `tail` fits no layer"):
        _lowered(source, _format(exceptions=(("tail", FLOAT32),)), tmp_path)


def test_where_every_row_is_short_nothing_is_gained(tmp_path: Path) -> None:
    weight = {"w": RNG.standard_normal((8, 5), np.float32)}
    source = _model(tmp_path / "model.onnx", weight, [helper.make_node("MatMul", ["x", "w"], ["y"], "only")], wide=8)
    with pytest.raises(RecipeFailed, match="changed nothing: the graph has 1 MatMul; filled up to groups of 64"):
        _lowered(source, _format(4, 64), tmp_path)


def test_of_a_module_the_linear_layers_are_packed_and_convolutions_told(
    runtime: OnnxRuntime, exported: Path, images: Any, answers: Any, tmp_path: Path
) -> None:
    made, notes = _lowered(runtime.read(exported), _format(8), tmp_path)
    assert list(map(len, notes["left in float"].values())) == [2]
    assert next(iter(notes["left in float"])) == "ONNX Runtime has integer weights alone for MatMul and Gemm"
    (given,) = runtime.open(made).run(images)
    assert 0 < np.abs(given - answers).max() < 0.01 * np.abs(answers).max()


TABLE = RNG.standard_normal((50, 24)).astype(np.float32)


@pytest.mark.parametrize("bits", [4, 8])
def test_a_table_of_vectors_is_looked_up_in_integers(bits: int, tmp_path: Path) -> None:
    """Its rows end with half a group."""
    stored = {"words.weight": TABLE, "w": RNG.standard_normal((24, 40), np.float32)}
    nodes = [
        helper.make_node("Gather", ["words.weight", "tokens"], ["vectors"], "words"),
        helper.make_node("MatMul", ["vectors", "w"], ["y"], "product"),
    ]
    tokens = value("tokens", ["N", 6], TensorProto.INT64)
    path = save(tmp_path / "model.onnx", nodes, [tokens], [value("y", ["N", 6, 40])], stored)
    source = OnnxRuntime().read(path)
    made, notes = _lowered(source, _format(bits, 16, operators=("Gather",)), tmp_path)
    assert notes == {"left in float": {"`operators` does not name it": ["MatMul product"]}}
    graph = onnx.load(made.path).graph
    assert [node.op_type for node in graph.node] == ["GatherBlockQuantized", "MatMul"]
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    packed, scales = (tensors[graph.node[0].input[index]] for index in (0, 2))
    assert (packed.nbytes, scales.shape) == (50 * 24 * bits // 8, (50, 2))
    steps = np.stack([packed & 15, packed >> 4], axis=-1).reshape(50, 24) if bits == 4 else packed
    vectors = (steps - 2.0 ** (bits - 1)) * scales.repeat(16, axis=1)[:, :24]
    assert 0 < np.abs(vectors - TABLE).max() < np.abs(TABLE).max() / 2 ** (bits - 2)
    asked = RNG.integers(0, 50, (3, 6))
    (given,) = OnnxRuntime().open(made).run({"tokens": asked})
    assert np.allclose(given, vectors[asked] @ stored["w"], atol=1e-4)
    facts, before = OnnxRuntime().inspect(made), OnnxRuntime().inspect(source)
    assert (facts.parameters, facts.macs, facts.layers) == (before.parameters, before.macs, ("words",))


def test_what_picks_numbers_apart_is_no_table_and_one_read_as_a_factor_stays() -> None:
    stored = [
        numpy_helper.from_array(values, name)
        for name, values in {"t": SQUARE, "w": SQUARE.copy(), "at": np.array(0)}.items()
    ]
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"], "shape"),
        helper.make_node("Gather", ["shape", "at"], ["size"], "size"),
        helper.make_node("Gather", ["t", "size"], ["row"], "tied"),
        helper.make_node("Add", ["row", "t"], ["sum"], "sum"),
        helper.make_node("Gather", ["w", "at"], ["column"], "column", axis=1),
        helper.make_node("Mul", ["sum", "column"], ["y"], "y"),
    ]
    graph = helper.make_graph(nodes, "g", [value("x", ["N"])], [value("y", [INNER, INNER])], stored)
    model, left = helper.make_model(graph), dict[str, str]()
    groups.pack(model, 4, 32, groups.REACHED, left)
    assert left == {
        "tied": "its weight is read by something else too, and would be kept in both forms",
        "column": "it looks up columns",
    }
    assert [node.op_type for node in model.graph.node] == [node.op_type for node in nodes]
