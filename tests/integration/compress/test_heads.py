"""Heads of hand-written attention go whole: what is left answers as the whole with these heads masked."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention as attend

from makeweight.artifact.ports import Port
from makeweight.compress import attention
from makeweight.compress.heads import HeadRemoval, narrowable
from makeweight.compress.prune import Prune, PruneOptions
from makeweight.compress.subject import Subject
from makeweight.runtimes.runtime import RecipeFailed
from split_values import split_of

_WIDTH, _HEADS, _TOKENS = 16, 4, 5
_WIDE = _WIDTH // _HEADS


class Separate(nn.Module):
    """As BERT: three layers, scores written out, the count, the width and their product as attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.width, self.all = _HEADS, _WIDE, _WIDTH
        self.query, self.key, self.value, self.out = (nn.Linear(_WIDTH, _WIDTH) for _ in range(4))

    def _split(self, tokens: Any) -> Any:
        return tokens.view(*tokens.shape[:-1], self.heads, self.width).permute(0, 2, 1, 3)

    def forward(self, x: Any) -> Any:
        query, key, value = (self._split(layer(x)) for layer in (self.query, self.key, self.value))
        weights = (query @ key.transpose(-1, -2) / math.sqrt(self.width)).softmax(-1)
        mixed = (weights @ value).permute(0, 2, 1, 3).contiguous()
        return self.out(mixed.view(*mixed.shape[:-2], self.all))


class Fused(nn.Module):
    """As vision transformers: one layer for all three, cut by reshape and unbind; a causal mask besides."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.qkv, self.out = _HEADS, nn.Linear(_WIDTH, 3 * _WIDTH), nn.Linear(_WIDTH, _WIDTH)

    def forward(self, x: Any) -> Any:
        count, tokens, _ = x.shape
        query, key, value = self.qkv(x).reshape(count, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = attend(query, key, value, is_causal=True)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Chunked(nn.Module):
    """Queries from one layer, keys and values from another; a head's width is fixed, their number follows."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.both = nn.Linear(_WIDTH, _WIDTH, bias=False), nn.Linear(_WIDTH, 2 * _WIDTH, bias=False)
        self.out = nn.Linear(_WIDTH, _WIDTH)

    def forward(self, x: Any) -> Any:
        parts = (self.query(x), *self.both(x).chunk(2, -1))
        query, key, value = (part.unflatten(-1, (-1, _WIDE)).transpose(1, 2) for part in parts)
        return self.out(attend(query, key, value).transpose(1, 2).flatten(2))


class InTurns(nn.Module):
    """Heads of which each takes every fourth channel; products by einsum."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.qkv, self.out = _HEADS, nn.Linear(_WIDTH, 3 * _WIDTH), nn.Linear(_WIDTH, _WIDTH)

    def forward(self, x: Any) -> Any:
        query, key, value = self.qkv(x).unflatten(-1, (3, -1, self.heads)).unbind(2)
        weights = torch.einsum("btdh,bsdh->bhts", query, key).softmax(-1)
        return self.out(torch.einsum("bhts,bsdh->btdh", weights, value).flatten(2))


class Convolved(nn.Module):
    """Over the places of a picture, by convolutions of 1x1."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.qkv, self.out = _HEADS, nn.Conv1d(_WIDTH, 3 * _WIDTH, 1), nn.Conv1d(_WIDTH, _WIDTH, 1)

    def forward(self, x: Any) -> Any:
        query, key, value = self.qkv(x.transpose(1, 2)).unflatten(1, (self.heads, 3, -1)).unbind(2)
        weights = (query.transpose(-1, -2) @ key).softmax(-1)
        return self.out((value @ weights.transpose(-1, -2)).flatten(1, 2)).transpose(1, 2)


class Shared(nn.Module):
    """Two heads of queries to each of keys and values."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.groups, self.query = _HEADS, _HEADS // 2, nn.Linear(_WIDTH, _WIDTH)
        self.key, self.value, self.out = (nn.Linear(_WIDTH, size) for size in (_WIDTH // 2, _WIDTH // 2, _WIDTH))
        self.out = nn.Linear(_WIDTH, _WIDTH)

    def forward(self, x: Any) -> Any:
        query = self.query(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        key, value = (layer(x).unflatten(-1, (self.groups, -1)).transpose(1, 2) for layer in (self.key, self.value))
        key, value = (part.repeat_interleave(self.heads // self.groups, 1) for part in (key, value))
        return self.out(attend(query, key, value).transpose(1, 2).flatten(2))


class OfInputs(nn.Module):
    """As GPT's first rewrites: the width of a head is that of the inputs, divided by their number."""

    def __init__(self) -> None:
        super().__init__()
        self.n_head, self.n_embd = _HEADS, _WIDTH
        self.qkv, self.out = nn.Linear(_WIDTH, 3 * _WIDTH), nn.Linear(_WIDTH, _WIDTH)

    def forward(self, x: Any) -> Any:
        count, tokens, width = x.size()
        cut = (count, tokens, self.n_head, width // self.n_head)
        query, key, value = (part.view(*cut).transpose(1, 2) for part in self.qkv(x).split(self.n_embd, dim=2))
        mixed = attend(query, key, value, is_causal=True).transpose(1, 2).contiguous()
        return self.out(mixed.view(count, tokens, width))


class FixedCount(Fused):
    """The number of heads stands in the code."""

    def forward(self, x: Any) -> Any:
        query, key, value = self.qkv(x).unflatten(-1, (3, 4, -1)).transpose(1, 3).unbind(2)
        return self.out(attend(query, key, value).transpose(1, 2).flatten(2))


def _example() -> dict[str, Any]:
    return {"x": torch.rand(2, _TOKENS, _WIDTH, generator=torch.Generator().manual_seed(1))}


@pytest.mark.parametrize(
    ("kind", "heads"),
    [
        (Separate, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]),
        (Fused, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]),
        (Chunked, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]),
        (InTurns, [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15]]),
        (Convolved, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]),
        (Shared, [[0, 1, 2, 3, 4, 5, 6, 7], [8, 9, 10, 11, 12, 13, 14, 15]]),
    ],
    ids=["separate layers", "one fused layer", "keys with values", "heads in turns", "convolutions", "shared keys"],
)
def test_fewer_heads_answer_as_all_with_the_others_masked(kind: Any, heads: list[list[int]]) -> None:
    torch.manual_seed(0)
    module, example = kind().eval(), _example()
    (found,) = attention.find(module, example)
    assert [list(own) for own in found.read] == heads
    (able,) = narrowable(module, [found], example)
    assert able is not None
    for gone in ([0], [len(heads) - 1], [1, 2][: len(heads) - 1]):
        masked, narrowed = copy.deepcopy(module), copy.deepcopy(module)
        with torch.no_grad():
            for head in gone:
                masked.out.weight[:, heads[head]] = 0
        HeadRemoval(able, tuple(gone)).carry_out(narrowed, None)
        assert sum(each.numel() for each in narrowed.parameters()) < sum(each.numel() for each in module.parameters())
        torch.testing.assert_close(narrowed(**example), masked(**example), rtol=0, atol=1e-6)


def test_an_attention_that_takes_no_fewer_heads_is_none() -> None:
    torch.manual_seed(0)
    (found,) = attention.find(FixedCount(), _example())
    assert found.count == _HEADS
    assert narrowable(FixedCount(), [found], _example()) == [None]


def test_an_attention_that_is_called_twice_is_found_once() -> None:
    class Twice(Fused):
        def forward(self, x: Any) -> Any:
            return super().forward(x + super().forward(x))

    torch.manual_seed(0)
    module = Twice().eval()
    (found,) = attention.find(module, _example())
    assert (found.count, found.reader, list(found.makers)) == (_HEADS, "out", ["qkv"])
    assert None not in narrowable(module, [found], _example())


def test_of_several_attentions_each_takes_fewer_heads_in_its_own_way() -> None:
    class Stack(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.fixed, self.second, self.stuck = Fused(), FixedCount(), Fused(), FixedCount()

        def forward(self, x: Any) -> Any:
            return self.stuck(x + self.second(x + self.fixed(x + self.first(x))))

    torch.manual_seed(0)
    module = Stack().eval()
    found = attention.find(module, _example())
    first, fixed, second, stuck = narrowable(module, found, _example())
    assert first is not None
    assert second is not None
    assert (first.attention.name, second.attention.name) == ("first", "second")
    assert [number.part for number in second.numbers] == ["second"] * len(first.numbers)
    assert [number.attribute for number in second.numbers] == [number.attribute for number in first.numbers]
    assert (fixed, stuck) == (None, None)


def test_one_head_and_layers_without_attention_have_none() -> None:
    class One(Fused):
        def __init__(self) -> None:
            super().__init__()
            self.heads = 1

    assert attention.find(One(), _example()) == []

    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate, self.out = nn.Linear(_WIDTH, _WIDTH), nn.Linear(_WIDTH, 3)

        def forward(self, x: Any) -> Any:
            return self.out(self.gate(x).softmax(-1) * x)

    assert attention.find(Gated(), _example()) == []


class Encoder(nn.Module):
    """Two layers of an attention, and what gives three scores of them."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.embed = nn.Linear(_WIDTH, _WIDTH)
        self.blocks = nn.ModuleList(nn.ModuleDict({"attention": kind(), "norm": nn.LayerNorm(_WIDTH)}) for _ in "ab")
        self.head = nn.Linear(_WIDTH, 3)

    def forward(self, x: Any) -> Any:
        x = self.embed(x)
        for block in self.blocks:
            x = x + block["attention"](block["norm"](x))
        return self.head(x.mean(1))


@pytest.fixture
def given(make_project: Any, make_given: Any) -> Any:
    tokens = np.random.default_rng(0).random((8, _TOKENS, _WIDTH), dtype=np.float32)
    data = split_of("noise", {"x": tokens}, np.arange(8) % 3)
    splits = dict.fromkeys(("train", "validation", "calibration"), data)
    return replace(make_given(make_project()), splits=splits, ports=(Port("x", ("N", _TOKENS, _WIDTH), "float32"),))


def _pruned(module: Any, given: Any, **options: Any) -> Any:
    """What was noted; the width that both layers share is kept."""
    Prune().apply(
        Subject(module),
        PruneOptions(**{"ratio": 0.5, "round_to": 1, "epochs": 0, "exclude": ("*.out",), **options}),
        given,
    )
    return given.notes["prune"]


def _kill_two_heads(module: Any) -> None:
    """Of each of its attentions, the first and the third."""
    dead = [0, 1, 2, 3, 8, 9, 10, 11]
    with torch.no_grad():
        for block in module.blocks:
            block["attention"].qkv.weight[[part * _WIDTH + place for part in range(3) for place in dead]] = 0
            block["attention"].qkv.bias[[part * _WIDTH + place for part in range(3) for place in dead]] = 0
            block["attention"].out.weight[:, dead] = 0


@pytest.mark.parametrize("scope", ["uniform", "global"])
@pytest.mark.parametrize("rounds", [1, 2])
def test_the_heads_that_matter_least_go(given: Any, scope: str, rounds: int) -> None:
    torch.manual_seed(0)
    module = Encoder(Fused).eval()
    _kill_two_heads(module)
    wanted = module(**_example()).detach()
    note = _pruned(module, given, scope=scope, rounds=rounds)
    torch.testing.assert_close(module(**_example()), wanted, rtol=0, atol=1e-5)
    assert note["heads"] == {"blocks.0.attention": [4, 2], "blocks.1.attention": [4, 2]}
    assert note["channels"]["blocks.0.attention.qkv"] == [48, 24]
    assert "refused" not in note


def test_what_is_left_of_heads_is_a_multiple_of_channels(given: Any) -> None:
    note = _pruned(Encoder(Separate), given, ratio=0.25, round_to=8)
    # 12 channels would be left, which is as near to 8 as to 16
    assert note["heads"] == {"blocks.0.attention": [4, 2], "blocks.1.attention": [4, 2]}


def test_excluded_attention_keeps_its_heads(given: Any) -> None:
    note = _pruned(Encoder(Chunked), given, exclude=("*.out", "blocks.0.attention.query"))
    assert note["heads"] == {"blocks.1.attention": [4, 2]}
    assert "blocks.0.attention.both" not in note["channels"]


def test_attention_that_keeps_its_heads_is_told_by_name(given: Any) -> None:
    with pytest.raises(
        RecipeFailed, match=r"all heads are kept in `blocks.0.attention`, `blocks.1.attention`: .* `exclude: \["
    ):
        _pruned(Encoder(FixedCount), given)


def test_heads_whose_number_is_that_of_the_inputs_go_with_these(given: Any) -> None:
    torch.manual_seed(0)
    module, dead = Encoder(OfInputs).eval(), [1, 3, 4, 7, 8, 9, 12, 15]
    _kill_two_heads(module)
    with torch.no_grad():
        for block in module.blocks:
            block["norm"] = nn.Identity()
        for layer in (module.embed, *(block["attention"].out for block in module.blocks)):
            layer.weight[dead] = 0
            layer.bias[dead] = 0
        for layer in (module.head, *(block["attention"].qkv for block in module.blocks)):
            layer.weight[:, dead] = 0
    wanted = module(**_example()).detach()
    note = _pruned(module, given, exclude=())
    torch.testing.assert_close(module(**_example()), wanted, rtol=0, atol=1e-5)
    assert note["heads"] == {"blocks.0.attention": [4, 2], "blocks.1.attention": [4, 2]}
    assert module.embed.out_features == module.blocks[0]["attention"].n_embd == 8
    kept = Encoder(OfInputs)
    with pytest.raises(RecipeFailed, match=r"all heads are kept in `blocks.0.attention`"):
        _pruned(kept, given, exclude=("*.out",))
