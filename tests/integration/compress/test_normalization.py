"""What takes statistics over channels is known by what it does, however it is written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from makeweight.artifact.ports import Port
from makeweight.compress import normalization
from makeweight.compress.prune import Prune, PruneOptions
from makeweight.compress.subject import Subject
from split_values import split_of

_KEPT = torch.tensor([0, 2, 3, 7, 9])


class Weighed(nn.Module):
    """A weight for each channel, and `channels` as a number that pruning does not know of."""

    shape: tuple[int, ...] = (-1,)

    def __init__(self, weight: Any) -> None:
        super().__init__()
        self.channels, self.weight = 10, nn.Parameter(weight.reshape(self.shape))


class MeanSquare(Weighed):
    def forward(self, x: Any) -> Any:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight


class Standard(Weighed):
    def forward(self, x: Any) -> Any:
        return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt() * self.weight


class ChannelsFirst(Weighed):
    shape = (-1, 1, 1)

    def forward(self, x: Any) -> Any:
        return nn.functional.layer_norm(x.movedim(1, -1), (x.shape[1],)).movedim(-1, 1) * self.weight


class CountsOfBefore(Weighed):
    """Of unit length, times the root of how many channels there were."""

    def forward(self, x: Any) -> Any:
        return nn.functional.normalize(x, dim=-1) * self.channels**0.5 * self.weight


class Scales(Weighed):
    def forward(self, x: Any) -> Any:
        return x * self.weight


class Mixes(Weighed):
    """Each channel is set beside its neighbour: another one, where some are gone."""

    def forward(self, x: Any) -> Any:
        return (x - x.roll(1, -1)) / x.norm(dim=-1, keepdim=True) * self.weight


class Descends(nn.LayerNorm):
    def __init__(self, weight: Any) -> None:
        super().__init__(len(weight))
        self.weight = nn.Parameter(weight)


class DescendsAndTurns(Descends):
    """As ConvNeXt has it for pictures."""

    def forward(self, x: Any) -> Any:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class DescendsFromMeanSquare(nn.RMSNorm):
    """Another class, to what knows layers by theirs."""


@pytest.mark.parametrize(
    ("kind", "axis"),
    [
        (MeanSquare, -1),
        (Standard, -1),
        (Descends, -1),
        (DescendsAndTurns, 1),
        (ChannelsFirst, 1),
        (CountsOfBefore, None),
        (Scales, None),
        (Mixes, None),
    ],
)
@pytest.mark.parametrize("kept", [_KEPT, _KEPT[:-1]], ids=["an odd number", "an even number"])
def test_the_axis_of_a_normalization_by_hand(kind: Any, axis: int | None, kept: Any) -> None:
    weight = torch.rand(10, generator=torch.Generator().manual_seed(0)) + 0.5
    assert normalization.axis(kind(weight), kind(weight[kept]), kept) == axis


class Frozen(nn.Module):
    """With statistics and factors that are buffers, as detectors have it in their backbones."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.linspace(0.5, 2, channels))
        self.register_buffer("mean", torch.linspace(-1, 1, channels))

    def forward(self, x: Any) -> Any:
        return (x - self.mean) * self.weight


class FrozenInTraining(Frozen):
    def forward(self, x: Any) -> Any:
        return super().forward(x) if self.training else x


class FrozenAndMixes(Frozen):
    def forward(self, x: Any) -> Any:
        return super().forward(x - x.roll(1, -1))


class Stream(nn.Module):
    def __init__(self, norm: Any) -> None:
        super().__init__()
        self.embed, self.norm, self.wide, self.head = nn.Linear(4, 16), norm, nn.Linear(16, 16), nn.Linear(16, 3)

    def forward(self, x: Any) -> Any:
        return self.head(torch.relu(self.wide(self.norm(self.embed(x)))))


@pytest.fixture
def given(make_project: Any, make_given: Any) -> Any:
    values = np.random.default_rng(0).random((8, 4), dtype=np.float32)
    data = split_of("noise", {"x": values}, np.arange(8) % 3)
    return replace(make_given(make_project()), splits={"calibration": data}, ports=(Port("x", ("N", 4), "float32"),))


@pytest.mark.parametrize(
    ("norm", "refused"),
    [
        (nn.RMSNorm(16), None),
        (DescendsFromMeanSquare(16), None),
        (MeanSquare(torch.ones(16)), None),
        (Mixes(torch.ones(16)), ["embed"]),
        (FrozenAndMixes(16), ["embed"]),
    ],
    ids=["of torch", "descends from torch's", "by hand", "something else", "frozen and something else"],
)
def test_weights_of_a_normalization_follow_its_channels_or_these_are_kept(given: Any, norm: Any, refused: Any) -> None:
    module = Stream(norm)
    Prune().apply(Subject(module), PruneOptions(ratio=0.5, round_to=1, epochs=0), given)
    assert given.notes["prune"].get("refused") == refused
    assert module.norm.weight.numel() == module.embed.out_features == (16 if refused else 8)
    assert module.wide.out_features == 8


def test_buffers_of_frozen_normalizations_follow_the_channels_of_their_own_layers(given: Any) -> None:
    of_all = Frozen(1)
    module = nn.Sequential(
        nn.Linear(4, 16), Frozen(16), nn.ReLU(), nn.Linear(16, 16), Frozen(16), of_all, nn.Linear(16, 3)
    )
    whole = module[1].weight
    before = module[0].weight.detach()
    Prune().apply(Subject(module), PruneOptions(ratio=0.5, round_to=1, epochs=0), given)
    assert given.notes["prune"]["channels"] == {"0": [16, 8], "3": [16, 8]}
    kept = [bool((module[0].weight == row).all(1).any()) for row in before]
    assert torch.equal(module[1].weight, whole[kept])
    assert set(dict(module[4].named_buffers())) == {"weight", "mean"}


@pytest.mark.parametrize("kept", [Frozen(4), FrozenInTraining(16)], ids=["of places", "of channels in training alone"])
def test_layers_of_buffers_that_are_not_of_channels_stay_and_the_channels_go(given: Any, kept: Any) -> None:
    module = nn.Sequential(nn.Unflatten(1, (1, 4)), nn.Conv1d(1, 16, 1), kept, nn.Flatten(), nn.Linear(64, 3))
    width = kept.weight.numel()
    Prune().apply(Subject(module), PruneOptions(ratio=0.5, round_to=1, epochs=0), given)
    assert given.notes["prune"]["channels"] == {"1": [16, 8]}
    assert "refused" not in given.notes["prune"]
    assert kept.weight.numel() == width
