"""Layers that stand in branches and loop bodies: in 16 bits like all others, and told where nothing reaches them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from integration.tiny_models import save, value
from makeweight.artifact.model import Model
from makeweight.compress.bfloat16 import Bfloat16
from makeweight.compress.quantize import Quantize
from makeweight.runtimes.format import FLOAT16
from makeweight.runtimes.onnxruntime.graphs import all_tensors, name_tensors
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.runtimes.runtime import RecipeFailed

WIDTH, ROUNDS = 64, 2
RNG = np.random.default_rng(0)
THEN, OTHER, AGAIN, LAST = ((RNG.standard_normal((WIDTH, WIDTH)) / 8).astype(np.float32) for _ in range(4))
X = RNG.standard_normal((3, WIDTH)).astype(np.float32)
NODE: Any = helper.make_node


def _branch(weight: Any) -> Any:
    """A product and a maximum, which has no form in 16 bits; both branches call everything alike."""
    nodes = [NODE("MatMul", ["t", "w"], ["m"], "product"), NODE("Max", ["m", "z"], ["o"])]
    stored = [numpy_helper.from_array(each, name) for name, each in (("w", weight), ("z", weight[0] * 0))]
    return helper.make_graph(nodes, "branch", [], [value("o", None)], stored)


def _saved(path: Path, *, last: bool = False) -> Model:
    """A choice of two products and a third in a loop; with `last`, one more behind them."""
    body = helper.make_graph(
        [NODE("MatMul", ["s", "w"], ["p"], "product"), NODE("Tanh", ["p"], ["o"]), NODE("Identity", ["k"], ["go"])],
        "round",
        [value("i", [], TensorProto.INT64), value("k", [], TensorProto.BOOL), value("s", ["N", WIDTH])],
        [value("go", [], TensorProto.BOOL), value("o", ["N", WIDTH])],
        [numpy_helper.from_array(AGAIN, "w")],
    )
    nodes = [
        NODE("Relu", ["x"], ["t"]),
        NODE("If", ["c"], ["a"], "choice", then_branch=_branch(THEN), else_branch=_branch(OTHER)),
        NODE("Loop", ["rounds", "yes", "a"], ["b" if last else "y"], "loop", body=body),
    ]
    stored = {"rounds": np.array(ROUNDS), "yes": np.array(True)}
    if last:
        nodes.append(NODE("MatMul", ["b", "last"], ["y"], "behind"))
        stored["last"] = LAST
    inputs = [value("x", ["N", WIDTH]), value("c", [], TensorProto.BOOL)]
    return OnnxRuntime().read(save(path, nodes, inputs, [value("y", ["N", WIDTH])], stored))


def _near(made: Model, tolerance: float) -> None:
    session = OnnxRuntime().open(made)
    for chosen, weight in ((True, THEN), (False, OTHER)):
        wanted = np.maximum(np.maximum(X, 0) @ weight, 0)
        for _ in range(ROUNDS):
            wanted = np.tanh(wanted @ AGAIN)
        (found,) = session.run({"x": X, "c": np.array(chosen)})
        np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)


def _kinds(path: Path) -> list[int]:
    """The types of the matrices that a file holds, wherever."""
    return [each.data_type for each in all_tensors(onnx.load(path)) if list(each.dims) == [WIDTH, WIDTH]]


def test_sixteen_bits_reach_branches_and_loops(tmp_path: Path) -> None:
    source = _saved(tmp_path / "model.onnx")
    _near(source, 1e-5)
    half = OnnxRuntime().lower(source, FLOAT16, None, tmp_path / "half.onnx")
    onnx.checker.check_model(onnx.load(half.path))
    assert _kinds(half.path) == [TensorProto.FLOAT16] * 3
    _near(half, 5e-3)
    brain = OnnxRuntime().lower(source, Bfloat16().format(Bfloat16.Options()), None, tmp_path / "brain.onnx")
    assert _kinds(brain.path) == [TensorProto.BFLOAT16] * 3
    _near(brain, 3e-2)
    assert brain.path.stat().st_size < 0.6 * source.path.stat().st_size


def test_a_branch_gives_a_constant_as_it_is(tmp_path: Path) -> None:
    """What lies around a branch it may read, and not give."""
    whole = [WIDTH, WIDTH]
    constant = NODE("Constant", [], ["o"], value=numpy_helper.from_array(THEN))
    kept = helper.make_graph([constant], "kept", [], [value("o", whole)])
    made = helper.make_graph(
        [NODE("MatMul", ["x", "w"], ["o"])], "made", [], [value("o", whole)], [numpy_helper.from_array(OTHER, "w")]
    )
    nodes = [NODE("If", ["c"], ["y"], "choice", then_branch=kept, else_branch=made)]
    inputs = [value("x", whole), value("c", [], TensorProto.BOOL)]
    source = OnnxRuntime().read(save(tmp_path / "model.onnx", nodes, inputs, [value("y", whole)], {}))
    brain = OnnxRuntime().lower(source, Bfloat16().format(Bfloat16.Options()), None, tmp_path / "brain.onnx")
    session = OnnxRuntime().open(brain)
    for chosen, wanted in ((True, THEN), (False, AGAIN @ OTHER)):
        (found,) = session.run({"x": AGAIN, "c": np.array(chosen)})
        np.testing.assert_allclose(found, wanted, rtol=0, atol=3e-2)
    assert sorted(_kinds(brain.path)) == [TensorProto.FLOAT, TensorProto.BFLOAT16]


def test_layers_that_no_quantizer_reaches_are_named(tmp_path: Path) -> None:
    format = Quantize().format(Quantize.Options(method="weights"))
    whole = _saved(tmp_path / "within.onnx")
    within = "it stands within the"
    told = rf"reaches none of the layers \(.*product.*: {within} If `choice`; MatMul product: {within} Loop `loop`\)$"
    with pytest.raises(RecipeFailed, match=told):
        OnnxRuntime().lower(whole, format, None, tmp_path / "none.onnx", {})
    notes: dict[str, Any] = {}
    OnnxRuntime().lower(_saved(tmp_path / "model.onnx", last=True), format, None, tmp_path / "made.onnx", notes)
    left = notes["left in float"]
    assert [len(left[f"{within} {holder}"]) for holder in ("If `choice`", "Loop `loop`")] == [2, 1]


def test_tensors_of_one_name_in_several_graphs_get_names_of_their_own(tmp_path: Path) -> None:
    model = onnx.load(_saved(tmp_path / "model.onnx").path)
    name_tensors(model.graph)
    names = [each.name for each in all_tensors(model)]
    assert len(names) == len(set(names)) == 7
    onnx.save(model, tmp_path / "named.onnx")
    _near(OnnxRuntime().read(tmp_path / "named.onnx"), 1e-5)
