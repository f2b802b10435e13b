"""Weights tied by a hash of their place: in training, and in a file that has their values alone."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from integration.tiny_models import held
from makeweight.compress.cluster import Cluster, ClusterOptions
from makeweight.compress.finetune import Finetune
from makeweight.compress.reproducible import reproducible
from makeweight.compress.sharing import Ties
from makeweight.compress.subject import Subject
from makeweight.compress.training_options import TrainingOptions
from makeweight.runtimes.format import Format, Hashed, Numbers
from makeweight.runtimes.hashing import places
from makeweight.runtimes.onnxruntime import hashes
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.runtimes.runtime import Program, RecipeFailed


@pytest.fixture
def given(make_project: Any, make_given: Any) -> Any:
    return make_given(make_project())


def _hashed(module: Any, given: Any, **options: Any) -> Subject:
    return Cluster().apply(Subject(module), ClusterOptions(**{"method": "hashing", "part": 0.25, **options}), given)


def by_hand(count: int, values: int) -> tuple[Any, Any]:
    """The value of each weight and its sign, in Python's own integers."""
    prime = 2147483647
    hashed = [((place * 1442695041 + 577215665) % prime * place + 1618033989) % prime for place in range(count)]
    at = np.array([each % (2 * values) for each in hashed])
    return at % values, np.where(at < values, 1, -1)


def test_the_hash_is_the_polynomial_and_spreads_weights_evenly() -> None:
    at, signs = by_hand(4000, 100)
    assert all(map(np.array_equal, places(4000, 100), (at, signs)))
    counts = np.bincount(at, minlength=100)
    # of 4000 weights in 100 clusters, chi squared has 99 degrees of freedom: 150 is passed one time in a thousand
    assert ((counts - 40) ** 2 / 40).sum() < 150
    assert abs(signs.sum()) < 4 * np.sqrt(4000)


def test_values_are_learned_and_weights_stay_theirs_up_to_the_sign(given: Any) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(36, 24), nn.ReLU(), nn.Linear(24, 3))
    norm = float(module[1].weight.detach().norm())
    subject = _hashed(module, given)
    before = module[1].weight.detach().numpy().copy()
    assert np.linalg.norm(before) == pytest.approx(norm, rel=1e-5)
    assert given.notes["cluster"] == {"values": {"1.weight": [216, 864]}, "kept": ["3.weight"]}
    at, signs = by_hand(864, 216)
    with reproducible(0):
        Finetune().apply(subject, TrainingOptions(epochs=2, lr=0.01), given)
    after = module[1].weight.detach().numpy()
    assert not np.allclose(after, before)
    values = np.zeros(216, np.float32)
    values[at] = after.ravel() * signs
    assert np.array_equal(after.ravel(), values[at] * signs)


def test_values_that_learn_in_place_of_weights_move_as_these_would(given: Any) -> None:
    images = torch.from_numpy(given.splits["validation"].source.inputs["image"])
    ends = []
    for standing in (False, True):
        torch.manual_seed(0)
        subject = _hashed(nn.Sequential(nn.Flatten(), nn.Linear(36, 30)), given)
        module, ties = subject.source, subject.left["cluster"]
        assert isinstance(ties, Ties)
        module.train()
        with ties.standing_in(module) if standing else nullcontext([]) as values:
            optimizer = torch.optim.AdamW([*module.parameters(), *values], 0.01)
            for number in range(4):
                optimizer.zero_grad()
                module(images[number : number + 9]).square().mean().backward()
                optimizer.step()
                ties.after_step(module)
        ends.append(module[1].weight.detach())
    assert torch.allclose(*ends, rtol=1e-4, atol=1e-7)


WAYS = {
    "as it was": lambda weight: weight,
    "turned": lambda weight: np.ascontiguousarray(weight.T),
    "in half precision": lambda weight: weight.astype(np.float16),
    "with a scale for each row": lambda weight: weight * np.linspace(0, 3, len(weight), dtype=np.float32)[:, None],
}


@pytest.mark.parametrize("way", WAYS)
def test_a_file_has_the_values_alone_and_the_runtime_finds_each_by_the_hash(way: str, tmp_path: Path) -> None:
    rng, runtime = np.random.default_rng(0), OnnxRuntime()
    at, signs = by_hand(60 * 80, 1200)
    weight = WAYS[way]((rng.normal(size=1200)[at] * signs).reshape(60, 80).astype(np.float32))
    source = runtime.read(held(tmp_path / "held.onnx", weight))
    made = runtime.lower(source, Format(codebook=Hashed(0.25)), None, tmp_path / "made.onnx", notes := {})
    onnx.checker.check_model(onnx.load(made.path))
    assert notes["codebooks"] == {"weights": ["w"], "bytes": [source.size, made.size]}
    scales = 60 * weight.itemsize if "scale" in way else 0
    assert made.size < 1200 * weight.itemsize + scales + 1600
    answer = runtime.open(made).run({})[0]
    assert np.array_equal(answer, weight) or (scales and np.allclose(answer, weight, rtol=3e-6, atol=1e-7))
    # the hash is computed once, when the session is opened
    assert not {"Gather", "Mod", "Range"} & set(runtime.inspect(made).operators)


def test_a_normalization_behind_a_convolution_leaves_values_and_scales(tmp_path: Path, given: Any) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(8, 48, 3), nn.BatchNorm2d(48)).eval()
    with torch.no_grad():
        module[1].running_var.uniform_(0.5, 2)
    subject = _hashed(module, given, part=0.125)
    image = np.random.default_rng(0).normal(size=(2, 8, 6, 6)).astype(np.float32)
    with torch.no_grad():
        wanted = module(torch.from_numpy(image)).numpy()
    program = Program(module, {"image": ("N", 8, 6, 6)}, {"image": image}, subject.left)
    made = OnnxRuntime().lower(program, Format(codebook=Hashed(0.125)), None, tmp_path / "made.onnx")
    assert made.size < 48 * 8 * 9 * 4 / 3
    assert np.allclose(OnnxRuntime().open(made).run({"image": image})[0], wanted, atol=1e-5)


def test_what_no_hash_ties_is_refused(tmp_path: Path, given: Any) -> None:
    weight = np.random.default_rng(0).normal(size=(60, 80)).astype(np.float32)
    path = held(tmp_path / "held.onnx", weight)
    before = path.read_bytes()
    with pytest.raises(RecipeFailed, match="no weight gets smaller as values that a hash finds"):
        hashes.pack(path, 0.25)
    assert path.read_bytes() == before
    with pytest.raises(RecipeFailed, match="no layer has 512 weights for a hash to tie"):
        _hashed(nn.Sequential(nn.Flatten(), nn.Linear(36, 3)), given)
    reason = OnnxRuntime().objection(Format(Numbers("bfloat16"), codebook=Hashed(0.5)), "graph")
    assert reason is not None
    assert reason.startswith("what a hash ties are floating-point values, and as bfloat16 each channel has its own")
