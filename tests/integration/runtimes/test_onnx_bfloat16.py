"""bfloat16 as a format of the file: half the bytes, rounded to the nearest, computed in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from integration.tiny_models import save, value
from makeweight.artifact.model import Model
from makeweight.compress.bfloat16 import Bfloat16
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.runtimes.runtime import RecipeFailed

RNG = np.random.default_rng(16)
WIDE, BIAS = RNG.standard_normal((64, 48)).astype(np.float32), RNG.standard_normal(48).astype(np.float32)
FORMAT = Bfloat16().format(Bfloat16.Options())


def _nearest(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The upper half of the bits, rounded to even."""
    bits = values.view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16).astype(np.uint32).view(np.float32)


def _saved(path: Path, **weights: Any) -> Model:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["p"], "p"),
        helper.make_node("Add", ["p", "b"], ["y"], "y"),
    ]
    stored = {"w": WIDE, "b": BIAS, **weights}
    return OnnxRuntime().read(save(path, nodes, [value("x", ["N", 64])], [value("y", ["N", 48])], stored))


def test_the_file_is_half_and_the_numbers_are_the_nearest(tmp_path: Path) -> None:
    source = _saved(tmp_path / "model.onnx")
    made = OnnxRuntime().lower(source, FORMAT, None, tmp_path / "made.onnx")
    assert 2 * WIDE.size < made.path.stat().st_size < 2 * WIDE.size + 1000
    x = RNG.standard_normal((5, 64)).astype(np.float32)
    (given,) = OnnxRuntime().open(made).run({"x": x})
    assert np.allclose(given, x @ _nearest(WIDE) + _nearest(BIAS), rtol=0, atol=1e-5)
    assert np.abs(given - (x @ WIDE + BIAS)).max() > 1e-3
    facts, before = OnnxRuntime().inspect(made), OnnxRuntime().inspect(source)
    assert (facts.parameters, facts.macs, facts.floating) == (before.parameters, before.macs, before.floating)
    # cast once, when it is opened
    assert facts.operators == before.operators


def test_what_cannot_be_stored_so_is_refused(tmp_path: Path) -> None:
    huge = np.where(np.arange(48) == 5, np.float32(3.4e38), WIDE)
    with pytest.raises(RecipeFailed, match="a number of `w` is beyond its range"):
        OnnxRuntime().lower(_saved(tmp_path / "huge.onnx", w=huge), FORMAT, None, tmp_path / "made.onnx")
    old = onnx.load(_saved(tmp_path / "old.onnx").path)
    old.opset_import[0].version = 12
    onnx.save(old, tmp_path / "old.onnx")
    with pytest.raises(RecipeFailed, match="of opset 12, and bfloat16 needs 13"):
        OnnxRuntime().lower(OnnxRuntime().read(tmp_path / "old.onnx"), FORMAT, None, tmp_path / "made.onnx")
    again = OnnxRuntime().lower(_saved(tmp_path / "model.onnx"), FORMAT, None, tmp_path / "once.onnx")
    with pytest.raises(RecipeFailed, match="changed nothing"):
        OnnxRuntime().lower(again, FORMAT, None, tmp_path / "twice.onnx")


def test_weights_that_nodes_hold_are_stored_so_too(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(WIDE)),
        helper.make_node("MatMul", ["x", "w"], ["y"], "p"),
    ]
    path = save(tmp_path / "model.onnx", nodes, [value("x", ["N", 64])], [value("y", ["N", 48])])
    made = OnnxRuntime().lower(OnnxRuntime().read(path), FORMAT, None, tmp_path / "made.onnx")
    assert 2 * WIDE.size < made.path.stat().st_size < 2 * WIDE.size + 1000
    x = RNG.standard_normal((5, 64)).astype(np.float32)
    assert np.allclose(OnnxRuntime().open(made).run({"x": x})[0], x @ _nearest(WIDE), rtol=0, atol=1e-5)
