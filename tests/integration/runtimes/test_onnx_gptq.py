"""Rounding whose errors are made up for: by hand on a tiny weight, and in a file on examples that it did not see."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from integration.tiny_models import save, value
from makeweight.artifact.ports import Feeds
from makeweight.runtimes.format import Format, Numbers
from makeweight.runtimes.onnxruntime import gptq, groups
from makeweight.runtimes.onnxruntime.gptq import rounded
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.runtimes.runtime import RecipeFailed

RNG = np.random.default_rng(22)
ROWS = RNG.standard_normal((2, 3))
SCALES = np.full((2, 3), 0.35)


def _alike(examples: int, inner: int, mixed: int) -> NDArray[np.float64]:
    """Inputs of which many say the same: a few numbers, mixed, and some noise."""
    mixing = np.random.default_rng(5).standard_normal((mixed, inner))
    noisy: NDArray[np.float64] = RNG.standard_normal((examples, mixed)) @ mixing
    return noisy + 0.1 * RNG.standard_normal((examples, inner))


def _by_least_squares(rows: NDArray[Any], scale: float, moment: NDArray[Any]) -> NDArray[Any]:
    """One column after the other, each time with the best that the columns to come can still do about the error so
    far, found anew of the whole problem."""
    steps = np.zeros(rows.shape)
    for row, fixed in zip(rows, steps, strict=True):
        left = row.copy()
        for at in range(len(row)):
            fixed[at] = np.clip(np.round(left[at] / scale), -8, 7)
            off, behind = fixed[: at + 1] * scale - row[: at + 1], slice(at + 1, None)
            move = np.linalg.solve(moment[behind, behind], moment[behind, : at + 1] @ off) if at < 2 else 0
            left[behind] = row[behind] - move
    return steps


def test_it_is_what_least_squares_say_column_by_column() -> None:
    inputs = _alike(50, 3, 2)
    moment = inputs.T @ inputs
    damped = moment + np.eye(3) * 0.01 * np.trace(moment) / 3
    assert np.array_equal(rounded(ROWS, SCALES, 4, moment), _by_least_squares(ROWS, 0.35, damped))


def test_of_two_rows_of_three_no_integers_do_better() -> None:
    moment = np.full((3, 3), 0.7) + np.eye(3) * 0.3
    damped = moment + np.eye(3) * 0.01

    def errors(steps: Any) -> Any:
        off = np.asarray(steps) * 0.35 - ROWS
        return ((off @ damped) * off).sum(axis=1)

    every = [errors([step, step]) for step in product(range(-8, 8), repeat=3)]
    assert np.allclose(errors(rounded(ROWS, SCALES, 4, moment)), np.min(every, axis=0))
    assert errors(np.round(ROWS / 0.35)).sum() > 1.5 * np.min(every, axis=0).sum()


def test_of_inputs_apart_from_each_other_it_is_plain_rounding_in_any_order() -> None:
    apart = np.diag([0.0, 4.0, 1.0])
    for ordered in (False, True):
        assert np.array_equal(rounded(ROWS, SCALES, 4, apart, ordered=ordered), np.round(ROWS / 0.35))


def test_the_columns_of_the_largest_inputs_go_first() -> None:
    draws, order = np.random.default_rng(3).standard_normal((50, 4)), [2, 0, 1]
    inputs = (draws[:, :3] + draws[:, 3:]) * [1, 0.1, 3]
    moment = inputs.T @ inputs
    assert np.array_equal(np.argsort(-np.diag(moment)), order)
    sorted_ = rounded(ROWS[:, order], SCALES, 4, moment[np.ix_(order, order)])
    given = rounded(ROWS, SCALES, 4, moment, ordered=True)
    assert np.array_equal(given[:, order], sorted_)
    assert not np.array_equal(given, rounded(ROWS, SCALES, 4, moment))


def test_columns_are_updated_in_blocks_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, rows = _alike(400, 40, 15), RNG.standard_normal((6, 40))
    moment, scales = inputs.T @ inputs, np.full((6, 40), 0.4)
    whole = rounded(rows, scales, 4, moment)
    monkeypatch.setattr(gptq, "_BLOCK", 7)
    assert np.array_equal(rounded(rows, scales, 4, moment), whole)


class Cut:
    def __init__(self, examples: NDArray[Any]) -> None:
        self._examples = examples.astype(np.float32)

    def feeds(self, size: int) -> Iterator[Feeds]:
        for start in range(0, len(self._examples), size):
            yield {"x": self._examples[start : start + size]}


WEIGHTS = {
    "first": RNG.standard_normal((48, 80)).astype(np.float32),
    "second": RNG.standard_normal((48, 32)).astype(np.float32),
}
NODES = [
    helper.make_node("Gemm", ["x", "first"], ["a"], "a", transB=1),
    helper.make_node("Relu", ["a"], ["b"], "b"),
    helper.make_node("MatMul", ["b", "second"], ["y"], "y"),
]


def _steps(made: Path) -> list[NDArray[Any]]:
    """The weights in the file, as they are multiplied: [outputs, inner]."""
    graph = onnx.load(made).graph
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    found = []
    for node in graph.node:
        if node.op_type == "MatMulNBits":
            inner = next(each.i for each in node.attribute if each.name == "K")
            stored, scales = (tensors[name] for name in node.input[1:3])
            steps = np.stack([stored & 15, stored >> 4], axis=-1).reshape(len(stored), -1, 32) - 8.0
            found.append((steps * scales.reshape(len(stored), -1, 1)).reshape(len(stored), -1)[:, :inner])
    return found


def test_what_each_product_answers_is_nearer_on_examples_it_did_not_see(tmp_path: Path) -> None:
    source = OnnxRuntime().read(
        save(tmp_path / "model.onnx", NODES, [value("x", ["N", 80])], [value("y", ["N", 32])], WEIGHTS)
    )
    seen, unseen, notes = _alike(160, 80, 12), _alike(100, 80, 12), dict[str, Any]()
    errors = []
    for way in ("nearest", "gptq"):
        how: Any = Format(Numbers("int4", "group", 32), rounding=way)
        made = OnnxRuntime().lower(source, how, Cut(seen), tmp_path / f"{way}.onnx", notes)
        hidden = np.maximum(unseen @ WEIGHTS["first"].T, 0)
        multiplied = ((unseen, WEIGHTS["first"]), (hidden, WEIGHTS["second"].T))
        errors.append(
            [
                np.square(x @ (steps - weight).T).sum()
                for (x, weight), steps in zip(multiplied, _steps(made.path), strict=True)
            ]
        )
    assert errors[1][0] < 0.25 * errors[0][0]
    assert errors[1][1] < 0.8 * errors[0][1]
    for told in notes["rounding"].values():
        assert told["rounding"].startswith("gptq")
        assert told["error"][1] < told["error"][0]
    few = Cut(seen[: gptq.BATCH])
    with pytest.raises(RecipeFailed, match="wants more than 8 calibration examples"):
        OnnxRuntime().lower(source, Format(Numbers("int4", "group", 32), rounding="gptq"), few, tmp_path / "f.onnx")


def test_where_it_is_no_better_on_what_was_held_back_plain_rounding_stays() -> None:
    """Two batches that have nothing to do with each other."""
    rows = RNG.standard_normal((8, 16)).astype(np.float32)
    graph = helper.make_graph([], "g", [value("x", ["N", 16])], [value("x", ["N", 16])])
    steps, scales = groups.nearest(rows, 4, 16)
    weight = groups.Weight(rows, steps, scales, 16, ["x"])
    one, other = np.zeros((2, 8, 16), np.float32)
    one[:, ::2] = one[:, 1::2] = RNG.standard_normal((8, 8))
    other[:, ::2] = RNG.standard_normal((8, 8))
    other[:, 1::2] = -other[:, ::2]
    told = gptq.correct(helper.make_model(graph), {"w": weight}, 4, [{"x": one}, {"x": other}], Path())
    assert told["w"]["rounding"] == "nearest"
    assert told["w"]["error"][0] == told["w"]["error"][1] > 0
    assert weight.steps is steps
    one[0, 0] = np.inf
    told = gptq.correct(helper.make_model(graph), {"w": weight}, 4, [{"x": one}, {"x": other}], Path())
    assert told["w"]["reason"] == "what it multiplies is not always a finite number"
