"""`nn.MultiheadAttention` loses heads whole: what is left answers as PyTorch's own with these heads masked."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from makeweight.artifact.ports import Port
from makeweight.compress import attention
from makeweight.compress.heads import HeadRemoval, narrowable
from makeweight.compress.multihead import write_out
from makeweight.compress.prune import Prune, PruneOptions
from makeweight.compress.subject import Subject
from makeweight.runtimes.runtime import RecipeFailed
from split_values import split_of

_WIDTH, _HEADS = 16, 4
_WIDE = _WIDTH // _HEADS
_HIDDEN = torch.tensor([[False] * 7, [False] * 5 + [True] * 2])


class Around(nn.Module):
    """An attention of some kind on queries `x`, with keys and values of `y`."""

    def __init__(self, way: dict[str, Any], **options: Any) -> None:
        super().__init__()
        self.attention, self.way = nn.MultiheadAttention(_WIDTH, _HEADS, **options), way

    def forward(self, x: Any, y: Any, z: Any) -> Any:
        if not self.attention.batch_first:
            x, y, z = (each.transpose(0, 1) for each in (x, y, z))
        return self.attention(x, y, z, **self.way)[0]


def _values(keys: int = _WIDTH, values: int = _WIDTH) -> dict[str, Any]:
    drawn = torch.Generator().manual_seed(1)
    sizes = {"x": (2, 5, _WIDTH), "y": (2, 7, keys), "z": (2, 7, values)}
    return {name: torch.randn(size, generator=drawn) for name, size in sizes.items()}


_LATER = torch.arange(7) > torch.arange(5)[:, None]


@pytest.mark.parametrize(
    ("way", "options"),
    [
        ({}, {"batch_first": True}),
        ({"need_weights": False}, {}),
        ({"need_weights": False}, {"batch_first": True, "kdim": 6, "vdim": 10}),
        ({"key_padding_mask": _HIDDEN}, {"kdim": 6, "vdim": 10, "bias": False}),
        ({"attn_mask": _LATER, "is_causal": False, "need_weights": False}, {"batch_first": True, "bias": False}),
        ({"attn_mask": _LATER.float(), "key_padding_mask": _HIDDEN.float()}, {"batch_first": True}),
        ({"attn_mask": _LATER, "key_padding_mask": _HIDDEN, "need_weights": False}, {}),
    ],
    ids=["as it comes", "no weights", "other widths", "padding", "a mask", "what is added", "mask and padding"],
)
def test_fewer_heads_answer_as_all_with_the_others_masked(way: dict[str, Any], options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    module = Around(way, **options).eval()
    for weight in module.parameters():
        nn.init.normal_(weight, std=0.5)
    example = _values(options.get("kdim", _WIDTH), options.get("vdim", _WIDTH))
    written = copy.deepcopy(module)
    assert write_out(written, example) == {}
    torch.testing.assert_close(written(**example), module(**example), rtol=0, atol=1e-5)
    (found,) = attention.find(written, example)
    assert found.called == "attention"
    (able,) = narrowable(written, [found], example)
    assert able is not None
    for gone in ([0], [1, 3]):
        masked, narrowed = copy.deepcopy(module), copy.deepcopy(written)
        with torch.no_grad():
            for head in gone:
                masked.attention.out_proj.weight[:, head * _WIDE : (head + 1) * _WIDE] = 0
        HeadRemoval(able, tuple(gone)).carry_out(narrowed, None)
        left = _WIDTH - _WIDE * len(gone)
        assert (narrowed.attention.num_heads, narrowed.attention.out_proj.in_features) == (_HEADS - len(gone), left)
        torch.testing.assert_close(narrowed(**example), masked(**example), rtol=0, atol=1e-5)


@pytest.mark.parametrize("averaged", [True, False], ids=["of all heads together", "of each head"])
@pytest.mark.parametrize("batched", [True, False], ids=["several", "one"])
def test_the_weights_are_those_of_torch(averaged: bool, batched: bool) -> None:
    torch.manual_seed(0)
    module, example = nn.ModuleDict({"of": nn.MultiheadAttention(_WIDTH, _HEADS, batch_first=True)}), _values()
    module.forward = lambda x, y, z: module["of"](x, y, z)  # type: ignore[method-assign]
    asked = tuple(each if batched else each[0] for each in example.values())
    wanted = module["of"](*asked, average_attn_weights=averaged)
    write_out(module, example)
    assert type(module["of"]) is not nn.MultiheadAttention
    torch.testing.assert_close(module["of"](*asked, average_attn_weights=averaged), wanted, rtol=0, atol=1e-6)


class Translates(nn.Module):
    """An encoder that asks for nested tensors, and a decoder with attention of both kinds."""

    def __init__(self) -> None:
        super().__init__()
        options = {"dim_feedforward": 32, "batch_first": True, "dropout": 0.0}
        self.embed = nn.Linear(_WIDTH, _WIDTH)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(_WIDTH, _HEADS, **options), 1)
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(_WIDTH, _HEADS, **options), 1)
        self.head = nn.Linear(_WIDTH, 3)

    def forward(self, x: Any, hidden: Any) -> Any:
        x = self.embed(x)
        told = self.encoder(x, src_key_padding_mask=hidden)
        read = self.decoder(x, told, tgt_key_padding_mask=hidden, memory_key_padding_mask=hidden)
        return self.head((read * ~hidden[..., None]).sum(1))


@pytest.fixture
def given(make_project: Any, make_given: Any) -> Any:
    tokens = np.random.default_rng(0).normal(size=(8, 7, _WIDTH)).astype(np.float32)
    hidden = np.arange(7) >= 4 + np.arange(8)[:, None] % 4
    data = split_of("noise", {"x": tokens, "hidden": hidden}, np.arange(8) % 3)
    ports = (Port("x", ("N", 7, _WIDTH), "float32"), Port("hidden", ("N", 7), "bool"))
    return replace(
        make_given(make_project()), splits=dict.fromkeys(("train", "validation", "calibration"), data), ports=ports
    )


def _pruned(module: Any, given: Any, **options: Any) -> Any:
    Prune().apply(Subject(module), PruneOptions(**{"ratio": 0.5, "round_to": 1, "epochs": 0, **options}), given)
    return given.notes["prune"]


def _asked(given: Any) -> dict[str, Any]:
    return {name: torch.from_numpy(value) for name, value in given.splits["calibration"].first(8).inputs.items()}


_OF_BOTH = ("encoder.layers.0.self_attn", "decoder.layers.0.self_attn", "decoder.layers.0.multihead_attn")


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_an_encoder_and_a_decoder_lose_heads_and_answer_on_all_paths(given: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Translates().eval()
    dead = [*range(_WIDE), *range(2 * _WIDE, 3 * _WIDE)]
    with torch.no_grad():
        for name in _OF_BOTH:
            part = module.get_submodule(name)
            part.in_proj_weight[[block * _WIDTH + channel for block in range(3) for channel in dead]] = 0
            part.out_proj.weight[:, dead] = 0
        wanted = module(**_asked(given))
    exclude = ("embed", "*.out_proj", "*.linear1", "*.linear2")
    note = _pruned(module, given, exclude=exclude)
    assert note["heads"] == {name: [4, 2] for name in _OF_BOTH}
    assert "refused" not in note
    with torch.no_grad():  # as PyTorch would take the weights of all and call nothing
        torch.testing.assert_close(module(**_asked(given)), wanted, rtol=0, atol=1e-5)
    torch.onnx.export(module, tuple(_asked(given).values()), tmp_path / "net.onnx", dynamo=True, verbose=False)
    operators = [node.op_type for node in onnx.load(tmp_path / "net.onnx").graph.node]
    assert (operators.count("Softmax"), operators.count("Split"), operators.count("Loop")) == (3, 0, 0)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    feeds = {port.name: value.numpy() for port, value in zip(session.get_inputs(), _asked(given).values(), strict=True)}
    np.testing.assert_allclose(session.run(None, feeds)[0], wanted.numpy(), atol=1e-5)


class Odd(Translates):
    """Its encoder has attention that cannot be written out."""

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.encoder.layers[0].self_attn = attention
        self.encoder.use_nested_tensor = False


class Own(nn.MultiheadAttention):
    """A class of somebody's own."""


def _hooked() -> Any:
    part = nn.MultiheadAttention(_WIDTH, _HEADS, batch_first=True)
    part.register_forward_hook(lambda *_: None)
    return part


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: nn.MultiheadAttention(_WIDTH, _HEADS, batch_first=True, add_bias_kv=True), "`add_bias_kv`"),
        (lambda: nn.MultiheadAttention(_WIDTH, _HEADS, batch_first=True, add_zero_attn=True), "`add_zero_attn`"),
        (lambda: Own(_WIDTH, _HEADS, batch_first=True), "a Own may do more"),
        (_hooked, "hooks hang on it"),
    ],
    ids=["keys besides", "zeros besides", "another class", "hooks"],
)
def test_what_cannot_be_written_out_is_left_whole_and_named(given: Any, make: Any, why: str) -> None:
    odd = make()
    module = Odd(odd).eval()
    assert why in write_out(module, _asked(given))["encoder.layers.0.self_attn"]
    assert module.encoder.layers[0].self_attn is odd
    assert not isinstance(module.decoder.layers[0].self_attn, nn.MultiheadAttention)


class Single(nn.Module):
    """One attention, and a layer behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.head = nn.MultiheadAttention(_WIDTH, _HEADS, batch_first=True), nn.Linear(_WIDTH, 3)


def test_what_reads_the_weights_of_an_attention_keeps_it(given: Any) -> None:
    class Reads(Single):
        def forward(self, x: Any, hidden: Any) -> Any:
            x = x @ self.attention.in_proj_weight[:_WIDTH]
            return self.head(self.attention(x, x, x, key_padding_mask=hidden)[0].mean(1))

    with pytest.raises(RecipeFailed, match=r"left whole.*`attention`: forward\(\) reads more of it than its answer"):
        _pruned(Reads(), given)


def test_a_weight_that_two_attentions_share_stays_one(given: Any) -> None:
    module = Translates()
    first, second = (module.get_submodule(name) for name in _OF_BOTH[:2])
    second.in_proj_weight = first.in_proj_weight
    reasons = write_out(module, _asked(given))
    assert set(reasons) == set(_OF_BOTH[:2])
    assert reasons[_OF_BOTH[0]] == f"a weight of it is `{_OF_BOTH[1]}.in_proj_weight` too"


def test_an_attention_with_two_names_is_written_out_once(given: Any) -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = self.second = nn.MultiheadAttention(_WIDTH, _HEADS, batch_first=True)
            self.head = nn.Linear(_WIDTH, 3)

        def forward(self, x: Any, hidden: Any) -> Any:
            x = self.first(x, x, x, hidden, need_weights=False)[0]
            return self.head(self.second(x, x, x, hidden, need_weights=False)[0].mean(1))

    module = Twice().eval()
    with torch.no_grad():
        wanted = module(**_asked(given))
    assert write_out(module, _asked(given)) == {}
    assert module.first is module.second
    torch.testing.assert_close(module(**_asked(given)), wanted, rtol=0, atol=1e-5)
    assert not isinstance(module.first, nn.MultiheadAttention)


def test_weights_that_a_model_answers_with_keep_all_heads(given: Any) -> None:
    class Shows(Single):
        def forward(self, x: Any, hidden: Any) -> Any:
            mixed, weights = self.attention(x, x, x, hidden)
            return self.head(mixed.mean(1)), weights

    with pytest.raises(RecipeFailed, match="all heads are kept in `attention`"):
        _pruned(Shows(), given, exclude=("attention.out_proj",))
