"""Whole residual blocks go, those first that change least; what cannot go is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from makeweight.artifact.ports import Port
from makeweight.compress.blocks import residual
from makeweight.compress.prune import Prune, PruneOptions
from makeweight.compress.subject import Subject
from makeweight.runtimes.runtime import RecipeFailed
from split_values import split_of

WIDTH = 4


@pytest.fixture
def given(make_project: Any, make_given: Any) -> Any:
    rows = np.random.default_rng(0).standard_normal((24, WIDTH)).astype(np.float32)
    data = split_of("noise", {"x": rows}, np.arange(24) % 3)
    splits = dict.fromkeys(("train", "validation", "calibration"), data)
    return replace(make_given(make_project()), splits=splits, ports=(Port("x", ("N", WIDTH), "float32"),))


def net(*sizes: float, forward: Callable[..., Any] | None = None) -> Any:
    """A block for each size: what it adds to its input is so many times a linear map of it. One that is negative
    changes the shape."""
    import torch
    from torch import nn

    torch.manual_seed(0)

    class Block(nn.Module):
        def __init__(self, size: float) -> None:
            super().__init__()
            self.map = nn.Linear(WIDTH, WIDTH, bias=False)
            self.skip = nn.Linear(WIDTH, 2 * WIDTH) if size < 0 else nn.Identity()
            self.size = size

        def forward(self, x: Any) -> Any:
            return torch.cat([self.map(x)] * 2, 1) + self.skip(x) if self.size < 0 else x + self.size * self.map(x)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList(Block(size) for size in sizes)
            self.head = nn.Linear(2 * WIDTH if min(sizes) < 0 else WIDTH, 3, bias=False)

        def forward(self, x: Any) -> Any:
            if forward is not None:
                return forward(self, x)
            for block in self.blocks:
                x = block(x)
            return self.head(x)

    return Net().eval()


def pruned(module: Any, given: Any, **options: Any) -> Any:
    Prune().apply(Subject(module), PruneOptions(structure="block", epochs=0, **options), given)
    return given.notes["prune"]


def test_the_blocks_that_change_least_go(given: Any) -> None:
    module = net(1, 0.01, 0.5, 0.02)
    maps = [block.map.weight.detach().double().numpy() for block in module.blocks]
    head = module.head.weight.detach().double().numpy()
    x = np.concatenate([batch.inputs["x"] for batch in given.splits["calibration"].batches(24)]).astype(np.float64)

    def scores(*names: int) -> Any:
        """Without those blocks."""
        y = x
        for index, (size, weight) in enumerate(zip((1, 0.01, 0.5, 0.02), maps, strict=True)):
            y = y if index in names else y + size * y @ weight.T
        return y @ head.T

    def change(*names: int) -> float:
        return float(((scores(*names) - scores()) ** 2).sum() / (scores() ** 2).sum())

    note = pruned(module, given, ratio=0.5, rounds=2)
    assert list(note["blocks"]) == ["blocks.1", "blocks.3"]
    assert list(note["blocks"].values()) == pytest.approx([change(1), change(1, 3)], rel=1e-3)
    assert change(1) < min(change(0), change(2), change(3))
    assert note["parameters"] == [4 * WIDTH**2 + 3 * WIDTH, 2 * WIDTH**2 + 3 * WIDTH]
    import torch

    with torch.no_grad():
        assert module(torch.from_numpy(x).float()).numpy() == pytest.approx(scores(1, 3), abs=1e-4)


def test_blocks_go_until_so_much_arithmetic_is_left_or_a_latency_is_reached(given: Any) -> None:
    # 4 blocks of 16 and a head of 12 multiplications
    assert len(pruned(net(1, 1, 1, 1), given, macs=0.65)["blocks"]) == 2
    with pytest.raises(RecipeFailed, match=r"15\.8% of the multiply-accumulates are left .* no other block can go"):
        pruned(net(1, 1, 1, 1), given, macs=0.1)
    with pytest.raises(RecipeFailed, match="none was handed to the step"):
        pruned(net(1, 1), given, latency={"max_ratio": 0.5})


def test_what_cannot_go_stays_and_is_named(given: Any) -> None:
    note = pruned(net(1, -1, forward=None), given, ratio=0.9)
    assert list(note["blocks"]) == ["blocks.0"]
    assert note["refused"] == {"blocks.1": "its output has not the shape of its input"}


def _thrice(module: Any, x: Any) -> Any:
    for _ in range(3):
        x = module.blocks[0](x)
    return module.head(x)


def _read(module: Any, x: Any) -> Any:
    return module.head(module.blocks[0](x)) * module.blocks[0].map.weight.sum()


@pytest.mark.parametrize(
    ("forward", "why"),
    [(_thrice, "it is called 3 times"), (_read, "without it, forward fails or computes something else")],
    ids=["shared", "read"],
)
def test_a_block_that_is_more_than_that_is_refused(given: Any, forward: Any, why: str) -> None:
    with pytest.raises(RecipeFailed, match=f"no block can go whole: .*`blocks.0`: {why}"):
        pruned(net(1, forward=forward), given, ratio=0.5)


def test_a_network_without_any_is_told_what_a_block_is(given: Any) -> None:
    from torch import nn

    with pytest.raises(RecipeFailed, match="takes one that adds something to its input"):
        pruned(nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 3)), given, ratio=0.5)
    with pytest.raises(RecipeFailed, match="less than one of the 2 blocks"):
        pruned(net(1, 1), given, ratio=0.2)
    with pytest.raises(RecipeFailed, match="`exclude` names every block"):
        pruned(net(1, 1), given, ratio=0.5, exclude=("blocks",))


@pytest.mark.parametrize("first", [True, False], ids=["normalized first", "normalized last"])
def test_layers_of_an_encoder_are_blocks(first: bool) -> None:
    import torch
    from torch import nn

    layer = nn.TransformerEncoderLayer(WIDTH, 2, 8, batch_first=True, norm_first=first)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.TransformerEncoder(layer, 3)

        def forward(self, x: Any) -> Any:
            return self.encoder(x).mean(1)

    found = residual(Net().eval(), {"x": torch.randn(2, 5, WIDTH)})
    # the encoder itself reads what is in its first layer
    assert found.able == ["encoder.layers.1", "encoder.layers.2"]
    assert list(found.refused) == ["encoder.layers.0"]


def test_options_of_channels_say_nothing_of_blocks() -> None:
    with pytest.raises(ValueError, match="`scope` is of `structure: channel`, and says nothing of blocks"):
        PruneOptions(structure="block", ratio=0.5, scope="global")
    told = PruneOptions(structure="block", ratio=0.5).model_dump()
    assert {"scope", "importance", "round_to"}.isdisjoint(told)
    assert SimpleNamespace(**PruneOptions(ratio=0.5).model_dump()).scope == "uniform"
