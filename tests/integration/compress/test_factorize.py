"""Layers of a lower rank: where that pays, as far as asked, and everything else named and left alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from integration.compress.conftest import fresh
from makeweight.artifact.ports import Port
from makeweight.compress.factorize import Factorize, FactorizeOptions
from makeweight.compress.subject import Subject
from makeweight.runtimes.runtime import RecipeFailed
from split_values import split_of


@pytest.fixture
def given(make_project: Any, make_given: Any) -> Any:
    return make_given(make_project())


def _of_tokens(given: Any) -> Any:
    tokens = np.random.default_rng(0).integers(0, 200, (8, 6))
    data = split_of("tokens", {"tokens": tokens}, np.arange(8) % 3)
    ports = (Port("tokens", ("N", 6), "int64"),)
    return replace(given, splits=dict.fromkeys(("train", "calibration"), data), ports=ports)


def _factorized(module: Any, given: Any, **options: Any) -> Any:
    return Factorize().apply(Subject(module), FactorizeOptions(**options), given).source


class Encoder(nn.Module):
    """Attention of PyTorch's own, a layer in a list, a tied output, a table, and a weight that is read by hand."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(200, 32)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 1)
        self.more = nn.ModuleList([nn.Sequential(nn.Linear(32, 48), nn.ReLU(), nn.Linear(48, 32))])
        self.by_hand = nn.Linear(32, 32)
        self.recurrent = nn.GRU(32, 32, batch_first=True)
        self.tied, self.twin = nn.Linear(32, 32), nn.Linear(32, 32)
        self.twin.weight = self.tied.weight
        self.head = nn.Linear(32, 3)

    def forward(self, tokens: Any) -> Any:
        values = self.more[0](self.encoder(self.words(tokens)))
        values = nn.functional.linear(values, self.by_hand.weight)
        values, _ = self.recurrent(values)
        return self.head(self.twin(torch.relu(self.tied(values))).mean(1))


def test_what_can_be_is_factorized_and_the_rest_is_named(given: Any) -> None:
    module, given = Encoder().eval(), _of_tokens(given)
    attention = module.encoder.layers[0].self_attn.in_proj_weight.clone()
    made = _factorized(module, given, rank=3, exclude=["head"])
    note = given.notes["factorize"]
    assert note["ranks"] == {
        "words": [[32], [3]],
        "encoder.layers.0.linear1": [[32], [3]],
        "encoder.layers.0.linear2": [[32], [3]],
        "more.0.0": [[32], [3]],
        "more.0.2": [[32], [3]],
    }
    assert note["kept"] == {
        "encoder.layers.0.self_attn": "no factors are known of a MultiheadAttention",
        "encoder.layers.0.self_attn.out_proj": "no factors are known of a NonDynamicallyQuantizableLinear",
        "by_hand": "its weight is read without the layer being called",
        "recurrent": "no factors are known of a GRU",
        "tied": "its weight is `twin.weight` too",
        "twin": "its weight is `tied.weight` too",
    }
    assert torch.equal(made.encoder.layers[0].self_attn.in_proj_weight, attention)
    assert made.tied.weight is made.twin.weight
    assert [tuple(each.weight.shape) for each in made.more[0][0]] == [(3, 32), (48, 3)]
    told = next(line for line in given.progress.lines if line.startswith("factorize: left as they are"))
    assert "`tied`" in told
    assert "`by_hand`" in told
    # in inference PyTorch's encoder reads the weights of its layers, and finds what they stand for
    tokens = torch.arange(12).reshape(2, 6)
    with torch.no_grad():
        by_layer = made.train(False)(tokens)
    assert torch.allclose(by_layer, made(tokens), atol=1e-5)


def test_the_network_answers_as_with_truncated_weights(given: Any) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(36, 64), nn.ReLU(), nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 3))
    truncated = [each.detach().numpy().copy() for each in module.parameters()]
    for index in (0, 2):
        left, values, right = np.linalg.svd(truncated[index], full_matrices=False)
        truncated[index] = left[:, :16] * values[:16] @ right[:16]
    made = _factorized(module, given, ratio=0.4)
    images = given.splits["validation"].source.inputs["image"][:5]
    with torch.no_grad():
        answers = made(torch.from_numpy(images)).numpy()
    wanted = images.reshape(5, -1)
    for layer in range(3):
        wanted = wanted @ truncated[2 * layer].T + truncated[2 * layer + 1]
        wanted = wanted if layer == 2 else np.maximum(wanted, 0)
    assert np.allclose(answers, wanted, atol=1e-5)
    # 0.4 of 36 is 14, of 48 is 19: both are 16, the multiple that the runtime likes
    assert given.notes["factorize"]["ranks"] == {"1": [[36], [16]], "3": [[48], [16]]}
    assert given.notes["factorize"]["kept"] == {"5": "at rank 3 of 3 it would be no smaller, or slower"}


@pytest.mark.parametrize("way", ["tucker", "spatial"])
def test_the_energy_that_is_kept_is_the_least(given: Any, way: str) -> None:
    module = fresh(given)
    before = {name: part.weight.detach().clone() for name, part in module.named_modules() if name in ("3", "6")}
    made = _factorized(module, given, energy=0.6, round_to=1, convolutions=way)
    note = given.notes["factorize"]
    assert set(note["ranks"]) >= {"3", "6"}
    for name, weight in before.items():
        lost = float(((weight - made[int(name)].weight.detach()) ** 2).sum() / (weight**2).sum())
        assert lost == pytest.approx(note["errors"][name] ** 2, rel=1e-3)
        assert 0 < lost <= 0.4
    assert note["parameters"][1] < 0.7 * note["parameters"][0]


def test_a_single_layer_is_a_model(given: Any) -> None:
    tokens = _of_tokens(given)
    made = _factorized(nn.Embedding(200, 32), tokens, rank=4)
    assert [tuple(each.weight.shape) for each in made] == [(200, 4), (32, 4)]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rank": 20}, r"rank 20 is beyond the full rank of `0` \(9\), `11` \(3\); .* `exclude: \[0, 11\]`"),
        ({"ratio": 0.9, "exclude": ["head"]}, "in `exclude`, `head` fits no layer; there are"),
        ({"rank": 3, "convolutions": "none"}, "changed nothing: `11`: at rank 3 of 3 it would be no smaller"),
    ],
    ids=["beyond", "no such layer", "nothing left"],
)
def test_what_cannot_be_is_refused(given: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(RecipeFailed, match=says):
        _factorized(fresh(given), given, **options)


def test_weights_that_are_no_numbers_are_refused(given: Any) -> None:
    module = fresh(given)
    with torch.no_grad():
        module[3].weight[0, 0] = np.nan
    with pytest.raises(RecipeFailed, match=r"factorize: 3\.weight holds NaN or infinity"):
        _factorized(module, given, ratio=0.5)


def test_a_convolution_that_would_be_slower_is_kept(given: Any) -> None:
    """A wide kernel of stride 4 on a large image: fewer weights, and more products before the stride."""
    images = np.zeros((2, 32, 16, 16), np.float32)
    data = split_of("images", {"image": images}, np.arange(2))
    ports = (Port("image", ("N", 32, 16, 16), "float32"),)
    given = replace(given, splits=dict.fromkeys(("train", "calibration"), data), ports=ports)
    module = nn.Sequential(nn.Conv2d(32, 8, 1), nn.Conv2d(8, 8, 2, stride=8), nn.Conv2d(8, 64, 1))
    _factorized(module, given, rank=4)
    assert given.notes["factorize"]["kept"] == {"1": "at rank 4 of 8 and 4 of 8 it would be no smaller, or slower"}
