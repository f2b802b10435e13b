"""Convolutions in groups lose channels within each, transposed ones too, and parts that gate each other lose the same,
whatever is cut along other axes; where they cannot, they are named."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from makeweight.artifact.ports import Port
from makeweight.compress.prune import Prune, PruneOptions
from makeweight.compress.subject import Subject
from split_values import split_of

IMAGES = np.random.default_rng(0).random((12, 3, 6, 6), dtype=np.float32)


@pytest.fixture
def given(make_project: Any, make_given: Any) -> Any:
    data = split_of("noise", {"image": IMAGES}, np.arange(12) % 3)
    splits = dict.fromkeys(("train", "validation", "calibration"), data)
    return replace(make_given(make_project()), splits=splits, ports=(Port("image", ("N", 3, 6, 6), "float32"),))


def _pruned(module: Any, given: Any, **options: Any) -> None:
    Prune().apply(Subject(module), PruneOptions(**{"ratio": 0.5, "epochs": 0, "round_to": 1, **options}), given)


def _net(grouped: Any) -> Any:
    """A convolution in groups between two others."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, grouped.in_channels, 3, padding=1),
        nn.ReLU(),
        grouped,
        nn.ReLU(),
        nn.Conv2d(grouped.out_channels, 3, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ).eval()


def _deaden(module: Any, read: tuple[int, ...], made: tuple[int, ...]) -> None:
    """Channels of each group, by their places in it, that are always zero and hardly looked at: of those that it reads,
    and of those that it makes."""
    first, grouped, last = module[0], module[2], module[4]
    parted = grouped.weight.detach().unflatten(0, (grouped.groups, -1))
    # [groups, read, made, ...]
    parted = parted if grouped.transposed else parted.transpose(1, 2)
    with torch.no_grad():
        parted[:, list(read)] *= 1e-3
        parted[:, :, list(made)] = 0
        grouped.bias.unflatten(0, (grouped.groups, -1))[:, list(made)] = 0
        last.weight.unflatten(1, (grouped.groups, -1))[:, :, list(made)] *= 1e-3
        for values in (first.weight, first.bias):
            values.unflatten(0, (grouped.groups, -1))[:, list(read)] = 0


@pytest.mark.parametrize("importance", ["magnitude", "taylor", "fpgm"])
@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d], ids=["convolution", "transposed"])
def test_each_group_loses_the_channels_that_matter_least(given: Any, kind: Any, importance: str) -> None:
    module = _net(kind(8, 16, 3, groups=2))
    _deaden(module, read=(1, 2), made=(0, 3, 5, 6))
    whole = copy.deepcopy(module)
    _pruned(module, replace(given, baseline=whole), importance=importance)
    assert (module[2].in_channels, module[2].out_channels, module[2].groups) == (4, 8, 2)
    assert module[2].transposed is (kind is nn.ConvTranspose2d)
    images = torch.from_numpy(IMAGES)
    assert torch.allclose(module(images), whole(images), atol=1e-5)


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d], ids=["convolution", "transposed"])
def test_one_that_makes_several_channels_of_each_loses_some_of_them(given: Any, kind: Any) -> None:
    module = _net(kind(8, 32, 3, groups=8))
    _deaden(module, read=(), made=(1, 3))
    whole = copy.deepcopy(module)
    _pruned(module, given)
    assert given.notes["prune"]["channels"] == {"2": [32, 16]}
    images = torch.from_numpy(IMAGES)
    assert torch.allclose(module(images), whole(images), atol=1e-5)


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d], ids=["convolution", "transposed"])
def test_one_that_makes_a_single_channel_of_several_is_left_as_it_is(given: Any, kind: Any) -> None:
    module = _net(kind(8, 4, 3, groups=4))
    module[4] = nn.Sequential(nn.Conv2d(4, 8, 1), nn.Conv2d(8, 3, 1))
    _pruned(module, given)
    assert given.notes["prune"]["channels"] == {"4.0": [8, 4]}
    assert given.notes["prune"]["refused"] == ["2"]
    assert any(line.endswith("and those that they read: 2") for line in given.progress.lines)
    # what an earlier round leaves so is no other matter
    module = _net(kind(16, 8, 3, groups=4))
    _pruned(module, given, ratio=0.75, rounds=2)
    assert (module[2].in_channels, module[2].out_channels) == (8, 4)


class Gated(nn.Module):
    """Half of what a layer answers gates the other half."""

    def __init__(self, gate: Any) -> None:
        super().__init__()
        self.gate = gate
        self.first, self.both, self.last = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 32, 1), nn.Linear(16, 3)

    def forward(self, image: Any) -> Any:
        return self.last(self.gate(self.both(self.first(image).relu())).mean((2, 3)))


def _chunks(whole: Any) -> Any:
    passed, gate = whole.chunk(2, 1)
    return passed * gate.sigmoid()


def _slices(whole: Any) -> Any:
    half = whole.shape[1] // 2
    return whole[:, :half] * whole[:, half:].sigmoid()


def _turns(whole: Any) -> Any:
    return whole[:, ::2] * whole[:, 1::2].sigmoid()


@pytest.mark.parametrize("gate", [_chunks, nn.GLU(dim=1), _slices, _turns], ids=["chunks", "GLU", "slices", "turns"])
@pytest.mark.parametrize("scope", ["uniform", "global"])
@pytest.mark.parametrize("rounds", [1, 2])
def test_parts_that_gate_each_other_lose_the_same_channels_and_no_more_than_asked_for(
    given: Any, gate: Any, scope: Any, rounds: int
) -> None:
    torch.manual_seed(0)
    module = Gated(gate).eval()
    # what is passed on in these places is nothing, and hardly anything looks at it; what gates them is as large as ever
    # (but for the first, which goes before all others)
    gone, places = [0, 2, 4, 5, 7, 11, 13, 14], torch.arange(32)
    passed, gating = (places[::2], places[1::2]) if gate is _turns else places.chunk(2)
    with torch.no_grad():
        module.both.weight[passed] *= 3
        module.both.weight[passed[gone]] = module.both.bias[passed[gone]] = 0
        module.both.weight[gating[0]] *= 1e-3
        module.last.weight[:, gone] *= 1e-3
    whole = copy.deepcopy(module)
    _pruned(module, given, scope=scope, rounds=rounds, exclude=("first",))
    assert given.notes["prune"]["channels"] == {"both": [32, 16]}
    images = torch.from_numpy(IMAGES)
    assert torch.allclose(module(images), whole(images), atol=1e-5)


class GatedLast(nn.Module):
    """The same where channels lie last."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.both, self.gate, self.last = nn.Linear(3, 32), nn.GLU(axis), nn.Linear(16, 3)

    def forward(self, image: Any) -> Any:
        return self.last(self.gate(self.both(image.movedim(1, -1)))).mean((1, 2))


@pytest.mark.parametrize("axis", [3, -1])
def test_a_gate_of_channels_that_lie_last_is_followed_however_its_axis_is_counted(given: Any, axis: int) -> None:
    torch.manual_seed(0)
    _pruned(GatedLast(axis).eval(), given)
    assert given.notes["prune"]["channels"] == {"both": [32, 16]}


class CutElsewhere(nn.Module):
    """What is cut along rows or columns has all channels in each part."""

    def __init__(self, cut: Any) -> None:
        super().__init__()
        self.cut, self.first, self.last = cut, nn.Linear(3, 32), nn.Linear(32, 3)

    def forward(self, image: Any) -> Any:
        return self.last(self.cut(self.first(image.movedim(1, -1)))).mean((1, 2))


@pytest.mark.parametrize(
    "cut",
    [
        nn.GLU(1),
        nn.GLU(-2),
        lambda given: sum(each.mean(1, keepdim=True) for each in given.split([1, 5], 1)),
        lambda given: given[:, 2:],
    ],
    ids=["GLU", "GLU from the end", "split", "slice"],
)
def test_what_is_cut_along_an_axis_without_channels_loses_them_like_any_other(given: Any, cut: Any) -> None:
    torch.manual_seed(0)
    _pruned(CutElsewhere(cut).eval(), given)
    assert given.notes["prune"]["channels"] == {"first": [32, 16]}
    assert "refused" not in given.notes["prune"]


def test_what_is_spread_over_places_loses_whole_channels(given: Any) -> None:
    class Grows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.seed, self.last = nn.Linear(108, 16 * 9), nn.Conv2d(16, 3, 1)

        def forward(self, image: Any) -> Any:
            return self.last(self.seed(image.flatten(1)).unflatten(1, (-1, 3, 3)).relu()).mean((2, 3))

    torch.manual_seed(0)
    _pruned(Grows().eval(), given)
    assert given.notes["prune"]["channels"] == {"seed": [144, 72]}


@pytest.mark.parametrize("recurrent", [True, False], ids=["a recurrence", "a linear layer"])
def test_channels_whose_rows_are_read_as_one_vector_are_followed(given: Any, recurrent: bool) -> None:
    class Hears(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(4, 3)
            self.over = nn.GRU(8 * 6, 4, batch_first=True) if recurrent else nn.Linear(8 * 6, 4)

        def forward(self, image: Any) -> Any:
            heard = self.first(image)
            heard = heard.flatten(1, 2).transpose(1, 2) if recurrent else heard.transpose(1, 2).flatten(2)
            heard = self.over(heard)
            return self.last(heard[0] if recurrent else heard).mean(1)

    torch.manual_seed(0)
    module = Hears().eval()
    _pruned(module, given, exclude=("over",))
    assert given.notes["prune"]["channels"] == {"first": [8, 4]}
    assert getattr(module.over, "input_size" if recurrent else "in_features") == 4 * 6


def test_where_pruning_fails_over_the_channels_of_a_layer_that_one_is_named_and_the_others_go_on(given: Any) -> None:
    class Unbinds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.both, self.last = nn.Linear(3, 16), nn.Linear(16, 32), nn.Linear(16, 3)

        def forward(self, image: Any) -> Any:
            pixels = self.first(image.flatten(2).transpose(1, 2)).relu()
            passed, gate = self.both(pixels).unflatten(-1, (-1, 2)).unbind(-1)
            return self.last(passed * gate.sigmoid()).mean(1)

    torch.manual_seed(0)
    _pruned(Unbinds().eval(), given)
    assert given.notes["prune"]["channels"] == {"first": [16, 8]}
    assert given.notes["prune"]["refused"] == ["both"]
    assert "prune: channels kept where Torch-Pruning loses track of them: both" in given.progress.lines
