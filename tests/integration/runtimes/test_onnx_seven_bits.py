"""Weights that keep to seven bits: no sum of two products leaves 16 bits, on whatever processor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from integration.tiny_models import save, value
from makeweight.artifact.ports import Feeds
from makeweight.runtimes.format import Format, Numbers
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime

RNG = np.random.default_rng(5)
# All positive and alike: the sums of products are as large as they come.
KERNEL = RNG.uniform(0.8, 1, (16, 8, 3, 3)).astype(np.float32)
MATRIX = RNG.uniform(0.8, 1, (16, 4)).astype(np.float32)
X = RNG.uniform(0.8, 1, (6, 8, 6, 6)).astype(np.float32)


class Shown:
    def feeds(self, size: int) -> Iterator[Feeds]:
        yield {"x": X}


def network(path: Path) -> Path:
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["maps"], "conv"),
        helper.make_node("ReduceMean", ["maps"], ["pooled"], "pool", axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["pooled", "matrix"], ["y"], "product"),
    ]
    weights = {"kernel": KERNEL, "matrix": MATRIX}
    return save(path, nodes, [value("x", ["N", 8, 6, 6])], [value("y", ["N", 4])], weights)


def floating() -> Any:
    """What the network answers, by numpy in double precision."""
    windows = np.lib.stride_tricks.sliding_window_view(X.astype(np.float64), (3, 3), axis=(2, 3))
    maps = np.einsum("nchwij,ocij->nohw", windows, KERNEL.astype(np.float64))
    return maps.mean(axis=(2, 3)) @ MATRIX.astype(np.float64)


@pytest.mark.parametrize("scales", ["channel", "tensor"])
@pytest.mark.parametrize("ranges", ["static", "dynamic"])
def test_no_weight_needs_the_eighth_bit_and_no_sum_overflows(ranges: Any, scales: Any, tmp_path: Path) -> None:
    runtime = OnnxRuntime()
    how = Format(Numbers("int7", scales), Numbers("int8"), ranges, observer="minmax" if ranges == "static" else None)
    examples = None if ranges == "dynamic" else Shown()
    made = runtime.lower(runtime.read(network(tmp_path / "net.onnx")), how, examples, tmp_path / "made.onnx")
    stored = [numpy_helper.to_array(each) for each in onnx.load(made.path).graph.initializer]
    weights = [each for each in stored if each.dtype == np.int8 and each.size > 16]
    assert len(weights) == (2 if ranges == "static" else 1)
    assert all(np.abs(each.astype(int)).max() == 64 for each in weights)
    (given,) = runtime.open(made).run({"x": X})
    # a step of a weight is 1 % of the largest, one of an activation 0.4 %
    np.testing.assert_allclose(given, floating(), rtol=0.03)
