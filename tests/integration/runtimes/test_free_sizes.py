"""Sizes that stay free in the exported file, by their names; states and constants among the inputs of a module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from makeweight.artifact.ports import Port
from makeweight.runtimes.onnxruntime import export
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight_base.errors import UsageError


class Words(nn.Module):
    """The mean over words, at any length, and a recurrence that begins with what is given: its last state, and what it
    says of each word."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.recurrence = nn.Embedding(20, 4), nn.GRU(4, 3, batch_first=True)

    def forward(self, words: Any, mask: Any, state: Any, rate: Any) -> Any:
        counting = mask.float()[..., None]
        mean = (self.words(words) * counting).sum(1) / counting.sum(1)
        steps, last = self.recurrence(self.words(words), state)
        return {"mean": mean * (rate == 16000), "last": last, "steps": steps}


SIZES = {"mask": ("N", "T"), "words": ("N", "T"), "state": (1, "N", 3), "rate": ()}


def _feeds(count: int, length: int) -> dict[str, Any]:
    rng = np.random.default_rng(length)
    mask = np.ones((count, length), np.int64)
    mask[0, length // 2 + 1 :] = 0
    return {
        "mask": mask,
        "words": rng.integers(0, 20, (count, length)),
        "state": rng.standard_normal((1, count, 3)).astype(np.float32),
        "rate": np.asarray(16000),
    }


@pytest.fixture(scope="module", params=[(4, 7), (1, 1)], ids=["of many words", "of one word"])
def written(tmp_path_factory: pytest.TempPathFactory, request: Any) -> Path:
    path = Path(tmp_path_factory.mktemp("free"), "words.onnx")
    # the second export in this process, for torch then knows how to take a recurrence apart
    export.export(Words().eval(), SIZES, _feeds(*request.param), path)
    return path


def test_every_size_is_free_that_is_declared_so(runtime: OnnxRuntime, written: Path) -> None:
    model = runtime.read(written)
    assert model.inputs == (
        Port("mask", ("N", "T"), "int64"),
        Port("words", ("N", "T"), "int64"),
        Port("state", (1, "N", 3), "float32"),
        Port("rate", (), "int64"),
    )
    assert model.outputs == (
        Port("mean", ("N", 4), "float32"),
        Port("last", (1, "N", 3), "float32"),
        Port("steps", ("N", "T", 3), "float32"),
    )
    session, module = runtime.open(model), Words().eval()
    for count, length in ((1, 1), (3, 1), (1, 11), (7, 7)):
        feeds = _feeds(count, length)
        mean, last, steps = session.run(feeds)
        vectors = module.words.weight.detach().numpy()[feeds["words"]]
        expected = [row[mask > 0].mean(0) for row, mask in zip(vectors, feeds["mask"], strict=True)]
        np.testing.assert_allclose(mean, expected, rtol=1e-5, atol=1e-6)
        with torch.no_grad():
            own = module.recurrence(torch.from_numpy(vectors), torch.from_numpy(feeds["state"]))
        np.testing.assert_allclose(steps, own[0].numpy(), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(last, own[1].numpy(), rtol=1e-4, atol=1e-6)


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 2)

    def forward(self, x: Any) -> Any:
        return self.layer(x)


class Even(nn.Module):
    """Takes multiples of two alone."""

    def forward(self, x: Any) -> Any:
        return x.reshape(x.shape[0], x.shape[1] // 2, 2).sum(2)


def test_a_size_that_the_module_fixes_cannot_be_free(runtime: OnnxRuntime, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"`T` of input `x` cannot be free: forward\(\) works with 6 alone"):
        export.export(Layer(), {"x": ("N", "T")}, {"x": np.zeros((2, 6), np.float32)}, tmp_path / "layer.onnx")


def test_a_size_that_must_be_a_multiple(runtime: OnnxRuntime, tmp_path: Path) -> None:
    path = tmp_path / "even.onnx"
    export.export(Even(), {"x": ("N", "T")}, {"x": np.zeros((2, 6), np.float32)}, path)
    (given,) = runtime.open(runtime.read(path)).run({"x": np.arange(8, dtype=np.float32).reshape(1, 8)})
    assert given.tolist() == [[1, 5, 9, 13]]
