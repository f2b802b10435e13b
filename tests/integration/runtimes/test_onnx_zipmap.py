"""Classifiers whose answers are lists of dictionaries, against what ONNX Runtime makes of the dictionaries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import tiny_models

from makeweight.artifact.ports import Port
from makeweight.runtimes.format import FLOAT32
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.starter import inputs

X = np.random.default_rng(1).standard_normal((20, tiny_models.FEATURES)).astype(np.float32)


@pytest.mark.parametrize(
    ("labels", "columns"),
    [([0, 1, 2], [0, 1, 2]), ([2, 0, 1], [0, 1, 2]), ([7, 3, 5], [3, 5, 7]), (["b", "a"], ["b", "a"])],
    ids=["in_order", "mixed", "gaps", "names"],
)
def test_dictionaries_become_columns_in_the_order_of_the_classes(
    tmp_path: Path, labels: list[Any], columns: list[Any]
) -> None:
    runtime, path = OnnxRuntime(), tiny_models.zipped(tmp_path / "zipped.onnx", labels)
    given, notes = runtime.read(path), dict[str, Any]()
    taken = runtime.lower(given, FLOAT32, None, tmp_path / "model.onnx", notes)
    assert taken.outputs == given.outputs
    assert taken.outputs[1] == Port("output_probability", ("N", len(labels)), "float32")
    assert inputs.scores(taken.outputs) == "output_probability"
    assert notes["taken apart"].startswith("output_probability: ")
    onnx.checker.check_model(onnx.load(taken.path), full_check=True)
    before, after = (onnxruntime.InferenceSession(each).run(None, {"x": X}) for each in (path, taken.path))
    assert np.array_equal(after[0], before[0])
    assert np.array_equal(after[1], np.array([[each[label] for label in columns] for each in before[1]], np.float32))


def test_the_class_is_no_score_but_a_score_stands_first() -> None:
    label, one, two = (
        Port(name, shape, kind)
        for name, shape, kind in (("label", ("N",), "int64"), ("p", ("N", 3), "float32"), ("q", ("N", 3), "float32"))
    )
    named = Port("name", ("N",), "")  # text
    assert inputs.scores([label, one]) == inputs.scores([named, one]) == "p"
    assert inputs.scores([one, label]) is None
    assert inputs.scores([label, one, two]) is None
    assert inputs.scores([]) is None
