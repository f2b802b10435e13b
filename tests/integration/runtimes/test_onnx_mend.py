"""Graphs that ONNX Runtime's quantizer alone gets wrong, against answers computed with numpy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from makeweight.runtimes.format import Format, Numbers
from makeweight.runtimes.onnxruntime import quantize
from makeweight.runtimes.onnxruntime.mend import mend
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.runtimes.runtime import RecipeFailed
from split_values import split_of

STATIC = Format(Numbers("int8", "channel"), Numbers("int8"), "static", "minmax")
DYNAMIC = Format(Numbers("int8", "channel"), Numbers("int8"), "dynamic")
HEALTHY = 25.0
"""Decibels; what the mends are for has less than 4 without them."""


def random(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


X = random(96, 16, seed=0)


def written(
    path: Path, nodes: list[Any], weights: dict[str, np.ndarray], outputs: tuple[str, ...] = ("y",), **more: Any
) -> Path:
    shape = more.pop("shape", ["N", 16])
    kind = more.pop("kind", TensorProto.FLOAT)
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    opsets = [helper.make_opsetid("", 18), *more.pop("opsets", [])]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10, **more), path)
    return path


def made(source: Path, x: np.ndarray = X, how: Format = STATIC) -> tuple[list[np.ndarray], dict[str, Any], Any]:
    """What the quantized model answers, what was noted, and the model."""
    runtime, notes, target = OnnxRuntime(), dict[str, Any](), source.with_suffix(".int8.onnx")
    quantize.quantize(runtime.read(source), target, how, split_of("c", {"x": x}, np.zeros(len(x))), notes)
    return runtime.open(runtime.read(target)).run({"x": x}), notes, onnx.load(target)


def decibels(wanted: np.ndarray, given: np.ndarray) -> float:
    return 20 * float(np.log10(np.linalg.norm(wanted) / np.linalg.norm(wanted - given)))


@pytest.mark.parametrize("how", [STATIC, DYNAMIC], ids=["static", "dynamic"])
@pytest.mark.parametrize("bias", [(8,), (1, 8), (), (1,)], ids=["row", "matrix of a row", "number", "one"])
def test_factors_and_biases_of_gemm(tmp_path: Path, how: Format, bias: tuple[int, ...]) -> None:
    w, b = random(8, 16), random(*bias, seed=2) if bias else np.float32(1.5)
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], alpha=0.5, beta=4.0, transB=1)
    (given,), notes, graph = made(written(tmp_path / "m.onnx", [node], {"w": w, "b": np.asarray(b)}), how=how)
    assert decibels(0.5 * X @ w.T + 4 * b, given) > HEALTHY
    assert notes == {}
    assert "Gemm" not in {each.op_type for each in graph.graph.node} or how is STATIC


def test_a_bias_by_row_is_left_in_float_by_name(tmp_path: Path) -> None:
    w, b, second = random(16, 16), random(96, 1, seed=2), random(16, 4, seed=3)
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], name="odd", transB=1),
        helper.make_node("MatMul", ["h", "second"], ["y"]),
    ]
    source = written(tmp_path / "m.onnx", nodes, {"w": w, "b": b, "second": second}, shape=[96, 16])
    (given,), notes, _ = made(source)
    assert decibels((X @ w.T + b) @ second, given) > HEALTHY
    assert notes["left in float"] == {"its bias is no single row": ["Gemm odd"]}


def test_one_bias_and_one_weight_of_several_nodes_without_names(tmp_path: Path) -> None:
    w, b = random(16, 16), random(16, seed=2)
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], beta=3.0),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "w", "b"], ["k"], alpha=0.25, transB=1),
        helper.make_node("Mul", ["k", "b"], ["y"]),
    ]
    (given,), notes, _ = made(written(tmp_path / "m.onnx", nodes, {"w": w, "b": b}))
    wanted = (0.25 * np.maximum(X @ w + 3 * b, 0) @ w.T + b) * b
    assert decibels(wanted, given) > HEALTHY
    assert "left in float" not in notes


def test_normalizations_that_share_a_scale_and_a_bias_stay_in_float(tmp_path: Path) -> None:
    x, w, v = random(96, 4, 20, seed=0), random(4, 4, 1), random(4, 4, 1, seed=4)
    scale, b = random(4, seed=3), random(4, seed=2)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["h"]),
        # what ONNX Runtime's quantizer would call its copy of `b`
        helper.make_node("InstanceNormalization", ["h", "s", "b"], ["b0"]),
        helper.make_node("Conv", ["b0", "v"], ["k"]),
        helper.make_node("InstanceNormalization", ["k", "s", "b"], ["y"]),
    ]
    weights = {"w": w, "v": v, "s": scale, "b": b}
    source = written(tmp_path / "m.onnx", nodes, weights, shape=["N", 4, 20])
    (given,), notes, graph = made(source, x)
    wanted = x
    for weight in (w, v):
        wanted = np.einsum("oc,nct->not", weight[:, :, 0], wanted)
        wanted = (wanted - wanted.mean(2, keepdims=True)) / np.sqrt(wanted.var(2, keepdims=True) + 1e-5)
        wanted = wanted * scale[:, None] + b[:, None]
    assert decibels(wanted, given) > HEALTHY
    assert notes == {}, "no product stays in float"
    read = [list(node.input[1:]) for node in graph.graph.node if node.op_type == "InstanceNormalization"]
    assert read == [["s", "b"]] * 2


def test_normalizations_that_are_alike_open_where_products_are_to_be_exact(tmp_path: Path) -> None:
    """As exporters leave them of a network that is not trained: one scale and one bias for all."""
    w, v, scale, b = random(16, 16), random(16, 4, seed=3), random(16, seed=4), random(16, seed=5)
    nodes = [
        helper.make_node("LayerNormalization", ["x", "s", "b"], ["n"]),
        helper.make_node("MatMul", ["n", "w"], ["h"]),
        helper.make_node("LayerNormalization", ["h", "s", "b"], ["m"]),
        helper.make_node("MatMul", ["m", "v"], ["y"]),
    ]
    source = written(tmp_path / "m.onnx", nodes, {"w": w, "v": v, "s": scale, "b": b})
    (given,), notes, graph = made(source)
    wanted = X
    for weight in (w, v):
        wanted = (wanted - wanted.mean(1, keepdims=True)) / np.sqrt(wanted.var(1, keepdims=True) + 1e-5)
        wanted = (wanted * scale + b) @ weight
    assert decibels(wanted, given) > HEALTHY
    assert notes == {}
    signed = {each.name for each in graph.graph.initializer if each.data_type == TensorProto.INT8}
    read = [node.input[0] for node in graph.graph.node if node.input and node.input[0] in signed]
    assert len(read) == len(set(read)) == 4


def test_what_a_gemm_adds_may_be_computed_and_read_by_others(tmp_path: Path) -> None:
    w, v = random(16, 16), random(16, 16, seed=3)
    nodes = [
        helper.make_node("Gemm", ["x", "w", "x"], ["h"]),
        helper.make_node("Gemm", ["h", "v", "h"], ["k"]),
        helper.make_node("Add", ["k", "h"], ["y"]),
    ]
    (given,), notes, _ = made(written(tmp_path / "m.onnx", nodes, {"w": w, "v": v}))
    hidden = X @ w + X
    assert decibels(hidden @ v + 2 * hidden, given) > HEALTHY
    assert notes == {}


def test_an_embedding_that_the_last_product_reads_too(tmp_path: Path) -> None:
    table = random(64, 16)
    ids = np.random.default_rng(0).integers(0, 64, (50, 5))
    nodes = [
        helper.make_node("Gather", ["e", "x"], ["g"]),
        helper.make_node("ReduceMean", ["g", "axis"], ["h"], keepdims=0),
        helper.make_node("Gemm", ["h", "e"], ["y"], transB=1),
    ]
    weights = {"e": table, "axis": np.array([1])}
    source = written(tmp_path / "m.onnx", nodes, weights, shape=["N", 5], kind=TensorProto.INT64)
    (given,), notes, _ = made(source, ids)
    assert decibels(table[ids].mean(1) @ table.T, given) > HEALTHY
    assert notes == {"one scale for the tensor": ["e"]}
    (given,), _, _ = made(source, ids, DYNAMIC)
    assert decibels(table[ids].mean(1) @ table.T, given) > HEALTHY
    with pytest.raises(RecipeFailed, match="would make it larger: its weights would take"):
        made(source, ids, replace(DYNAMIC, operators=("MatMul",)))


def test_a_grouped_transposed_convolution_has_one_scale(tmp_path: Path) -> None:
    x, w, b = random(40, 4, 5, seed=0), random(4, 3, 2), random(6, seed=2)
    node = helper.make_node("ConvTranspose", ["x", "w", "b"], ["y"], strides=[2], group=2)
    (given,), notes, _ = made(written(tmp_path / "m.onnx", [node], {"w": w, "b": b}, shape=["N", 4, 5]), x)
    wanted = np.zeros((40, 6, 10), dtype=np.float32) + b[:, None]
    for group in range(2):
        spread = np.einsum("nct,cok->notk", x[:, 2 * group : 2 * group + 2], w[2 * group : 2 * group + 2])
        wanted[:, 3 * group : 3 * group + 3] += spread.reshape(40, 3, 10)
    assert decibels(wanted, given) > HEALTHY
    assert notes == {"one scale for the tensor": ["w"]}


def test_a_tensor_that_is_an_output_too_is_not_clipped(tmp_path: Path) -> None:
    w, v = random(16, 8), random(8, 4, seed=2)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["inner"]),
        helper.make_node("Relu", ["inner"], ["r"]),
        helper.make_node("MatMul", ["r", "v"], ["y"]),
    ]
    (y, inner), _, _ = made(written(tmp_path / "m.onnx", nodes, {"w": w, "v": v}, ("y", "inner")))
    assert decibels(X @ w, inner) > HEALTHY
    assert decibels(np.maximum(X @ w, 0) @ v, y) > HEALTHY


def test_small_probabilities_stay(tmp_path: Path) -> None:
    w = random(16, 64) * 2
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Softmax", ["z"], ["y"], name="last")]
    (given,), notes, _ = made(written(tmp_path / "m.onnx", nodes, {"w": w}))
    assert (given > 0).all()
    (names,) = notes["left in float"].values()
    assert names == ["Softmax last"]


@pytest.mark.parametrize("observer", ["minmax", "entropy", "percentile", "mse"])
@pytest.mark.parametrize("shut", [-np.inf, -1e9, -1e4], ids=str)
def test_a_mask_does_not_drown_the_scores(tmp_path: Path, shut: float, observer: Any) -> None:
    x = random(40, 6, 16, seed=0)
    mask = np.triu(np.full((6, 6), shut, dtype=np.float32), 1)
    q = random(16, 16) / 4
    nodes = [
        helper.make_node("MatMul", ["x", "q"], ["k"]),
        helper.make_node("Transpose", ["k"], ["t"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["x", "t"], ["s"]),
        helper.make_node("Add", ["s", "mask"], ["masked"], name="shutting"),
        helper.make_node("Softmax", ["masked"], ["p"], name="weighing"),
        helper.make_node("MatMul", ["p", "x"], ["y"]),
    ]
    source = written(tmp_path / "m.onnx", nodes, {"q": q, "mask": mask}, shape=["N", 6, 16])
    how = Format(STATIC.weights, STATIC.activations, "static", observer)
    (given,), notes, _ = made(source, x, how)
    scores = x @ (x @ q).transpose(0, 2, 1) + mask
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    assert decibels((weights / weights.sum(-1, keepdims=True)) @ x, given) > 20
    assert notes["left in float"] == {
        "its scores are masked": ["Softmax weighing"],
        "it makes or adds a mask": ["Add shutting"],
    }


def test_products_within_functions_are_reached(tmp_path: Path) -> None:
    inside = [helper.make_node("MatMul", ["a", "b"], ["m"]), helper.make_node("Relu", ["m"], ["c"])]
    block = helper.make_function("own", "Block", ["a", "b"], ["c"], inside, [helper.make_opsetid("", 18)])
    w, v = random(16, 24), random(24, 4, seed=2)
    nodes = [
        helper.make_node("Block", ["x", "w"], ["h"], domain="own"),
        helper.make_node("Block", ["h", "v"], ["y"], domain="own"),
    ]
    own = {"functions": [block], "opsets": [helper.make_opsetid("own", 1)]}
    source = written(tmp_path / "m.onnx", nodes, {"w": w, "v": v}, **own)
    (given,), _, _ = made(source)
    assert decibels(np.maximum(np.maximum(X @ w, 0) @ v, 0), given) > HEALTHY
    runtime = OnnxRuntime()
    assert runtime.inspect(runtime.read(source)).macs == 16 * 24 + 24 * 4


def test_a_graph_that_needs_nothing_is_left_as_it_is(exported: Path) -> None:
    graph = onnx.load(exported)
    before = graph.SerializeToString(deterministic=True)
    found = mend(graph)
    assert graph.SerializeToString(deterministic=True) == before
    assert (found.left, found.by_tensor) == ({}, {})
