"""Samples from a file: joined to a batch along the axis where examples lie, and told apart by their sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from makeweight.measure.samples import store
from makeweight_probe import inputs


def sample(value: int, length: int = 3) -> dict[str, Any]:
    return {
        "words": np.full((1, length), value),
        "state": np.full((2, 1, 4), value),
        "rate": np.asarray(16000),
    }


def test_examples_lie_where_the_file_says(tmp_path: Path) -> None:
    path = tmp_path / "inputs.npz"
    store(path, [sample(1), sample(2)], {"state": 1, "rate": None})
    both = inputs.joined(inputs.read(str(path)), inputs.axes(str(path)))
    assert both["words"].tolist() == [[1, 1, 1], [2, 2, 2]]
    assert both["state"].shape == (2, 2, 4)
    assert both["state"][0, :, 0].tolist() == [1, 2]
    assert (both["rate"].shape, int(both["rate"])) == ((), 16000)


def test_without_a_word_they_lie_along_the_first(tmp_path: Path) -> None:
    path = tmp_path / "inputs.npz"
    store(path, [{"x": np.zeros((1, 2))}, {"x": np.ones((1, 2))}])
    assert inputs.axes(str(path)) == {}
    assert inputs.joined(inputs.read(str(path)), inputs.axes(str(path)))["x"].tolist() == [[0, 0], [1, 1]]


def test_samples_of_one_size_are_together() -> None:
    samples = [sample(index, length) for index, length in enumerate((3, 3, 3, 5, 5, 3))]
    assert [len(some) for some in inputs.alike(samples, 2)] == [2, 1, 2, 1]
    assert [len(some) for some in inputs.alike(samples, 9)] == [3, 2, 1]


def test_the_sizes_that_there_are() -> None:
    assert [each["words"] for each in inputs.sizes([sample(1, 10), sample(2, 9), sample(3, 10)])] == [(1, 9), (1, 10)]
