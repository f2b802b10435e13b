"""Tables of vectors become narrower with all that hangs together with their channels, or it is said why they do not."""

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
from makeweight.runtimes.runtime import RecipeFailed
from split_values import split_of

WORDS, LENGTH, WIDTH, CLASSES = 20, 5, 32, 3


@pytest.fixture
def given(make_project: Any, make_given: Any) -> Any:
    """What a technique is given, with sentences for data."""
    tokens = np.random.default_rng(0).integers(0, WORDS, (24, LENGTH))
    data = split_of("noise", {"tokens": tokens}, np.arange(24) % CLASSES)
    ports = (Port("tokens", ("N", LENGTH), "int64"),)
    splits = dict.fromkeys(("train", "validation", "calibration"), data)
    return replace(make_given(make_project()), splits=splits, ports=ports)


def _pruned(module: Any, given: Any, **options: Any) -> Any:
    given = replace(given, baseline=copy.deepcopy(module))
    Prune().apply(Subject(module), PruneOptions(**{"ratio": 0.5, "epochs": 0, **options}), given)
    return given.notes["prune"]


def _answers(module: Any, given: Any) -> Any:
    with torch.no_grad():
        return module.eval()(torch.from_numpy(given.splits["calibration"].source.inputs["tokens"]))


class Descends(nn.EmbeddingBag):
    """Another class, to what knows layers by theirs."""


class Bag(nn.Module):
    """The mean of the vectors of words, and a layer."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.head = kind(WORDS, WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, tokens: Any) -> Any:
        vectors = self.words(tokens)
        return self.head(vectors if vectors.ndim == 2 else vectors.mean(1))


@pytest.mark.parametrize("importance", ["magnitude", "taylor", "fpgm"])
@pytest.mark.parametrize("kind", [nn.Embedding, nn.EmbeddingBag, Descends])
def test_the_least_important_columns_of_a_table_go(given: Any, kind: Any, importance: str) -> None:
    module = Bag(kind)
    with torch.no_grad():
        module.words.weight[:, 1::2] *= 1e-4
        module.head.weight[:, 1::2] *= 1e-4
        kept = module.words.weight[:, 0::2].clone()
    note = _pruned(module, given, importance=importance)
    assert torch.equal(module.words.weight, kept)
    assert (module.words.embedding_dim, module.head.in_features) == (WIDTH // 2, WIDTH // 2)
    assert note["channels"] == {"words": [WIDTH, WIDTH // 2]}


class Stream(nn.Module):
    """A residual stream from a table of words and one of places, whose scores are for words again."""

    def __init__(self, tied: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.places = nn.Embedding(WORDS, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.wide, self.narrow = nn.Linear(WIDTH, 48), nn.Linear(48, WIDTH)
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WORDS, bias=False)
        self.also = self.norm
        if tied:
            self.head.weight = self.words.weight

    def forward(self, tokens: Any) -> Any:
        stream = self.words(tokens) + self.places(torch.arange(tokens.shape[1]))
        stream = stream + self.narrow(torch.relu(self.wide(self.norm(stream))))
        return self.head(self.also(stream).mean(1))


def test_a_stream_becomes_narrower_and_shared_weights_stay_shared(given: Any) -> None:
    module = Stream()
    wide = copy.deepcopy(module)
    note = _pruned(module, given, exclude=("wide",))
    assert module.head.weight is module.words.weight
    assert module.words.weight.shape == (WORDS, 16)
    assert set(note["channels"]) == {"words", "places", "narrow"}
    assert "refused" not in note
    # a stream without the channels that are gone, by hand: nothing makes them, normalization counts those that are left
    kept = torch.isin(wide.words.weight[0], module.words.weight[0]).nonzero().flatten()
    with torch.no_grad():
        for name in ("words", "places"):
            table = wide.get_submodule(name)
            assert torch.equal(table.weight[:, kept], module.get_submodule(name).weight)
        words, places = wide.words.weight[:, kept], wide.places.weight[:, kept]
        tokens = torch.from_numpy(given.splits["calibration"].source.inputs["tokens"])
        stream = words[tokens] + places
        hidden = torch.relu(nn.functional.layer_norm(stream, (16,)) @ wide.wide.weight[:, kept].T + wide.wide.bias)
        stream = stream + hidden @ wide.narrow.weight[kept].T + wide.narrow.bias[kept]
        wanted = nn.functional.layer_norm(stream, (16,)).mean(1) @ words.T
    assert torch.allclose(_answers(module, given), wanted, atol=1e-5)


def test_a_table_keeps_its_width_with_a_layer_that_is_excluded_and_it_is_said(given: Any) -> None:
    note = _pruned(Stream(), given, exclude=("narrow",))
    reason = "`narrow` is as wide, and keeps its channels"
    assert note["channels"] == {"wide": [48, 16]}
    assert note["as wide as before"] == {"words": reason, "places": reason}
    assert any(f"`words`: {reason}" in line for line in given.progress.lines)


def test_a_table_of_which_the_outputs_are_made_keeps_its_width(given: Any) -> None:
    class Reads(Stream):
        def forward(self, tokens: Any) -> Any:
            stream = self.words(tokens)
            stream = stream + self.narrow(torch.relu(self.wide(stream)))
            return nn.functional.linear(stream.mean(1), self.words.weight)

    module = Reads()
    note = _pruned(module, given)
    assert module.words.embedding_dim == WIDTH
    assert note["as wide as before"] == {"words": "the model's outputs are made of its channels"}
    with pytest.raises(RecipeFailed, match=r"`words`: the model's outputs are made of its channels$"):
        _pruned(Reads(), given, exclude=("wide",))


class Placed(nn.Module):
    """An encoder of words, to which a code of the place is added that is no parameter."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        self.words, self.encoder = nn.Embedding(WORDS, 16), nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        angles = torch.arange(LENGTH)[:, None] / 10 ** torch.linspace(0, 2, 16)
        self.register_buffer("code", angles.sin()[None])
        self.head = nn.Linear(16, CLASSES)

    def forward(self, tokens: Any) -> Any:
        return self.head(self.encoder(self.words(tokens) + self.code[:, : tokens.shape[1]]).mean(1))


def test_a_code_of_places_loses_the_channels_of_what_it_is_added_to(given: Any) -> None:
    module = Placed()
    whole, words = module.code.clone(), module.words.weight.detach().clone()
    note = _pruned(module, given, round_to=4)
    assert "code" in dict(module.named_buffers())
    kept = torch.isin(words[0], module.words.weight[0]).nonzero().flatten()
    assert len(kept) == 8
    assert torch.equal(module.code, whole[..., kept])
    assert {part.self_attn.embed_dim for part in module.encoder.layers} == {8}
    assert "refused" not in note


def test_a_table_whose_width_forward_counts_keeps_it_and_the_rest_goes_on(given: Any) -> None:
    class Window(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.hidden = nn.Embedding(WORDS, WIDTH), nn.Linear(LENGTH * WIDTH, 32)
            self.head = nn.Linear(32, CLASSES)

        def forward(self, tokens: Any) -> Any:
            return self.head(torch.relu(self.hidden(self.words(tokens).view(-1, LENGTH * WIDTH))))

    note = _pruned(Window(), given)
    assert note["channels"] == {"hidden": [32, 16]}
    assert note["refused"] == ["words"]
    assert any(line.endswith("does not run without some of them: words") for line in given.progress.lines)


def test_a_table_of_what_is_added_to_scores_has_heads_for_channels_and_keeps_them(given: Any) -> None:
    class Distant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.words, self.apart = nn.Embedding(WORDS, 16), nn.Embedding(2 * LENGTH - 1, 4)
            self.query, self.key, self.value, self.out = (nn.Linear(16, 16) for _ in range(4))
            self.head = nn.Linear(16, CLASSES)

        def forward(self, tokens: Any) -> Any:
            stream, places = self.words(tokens), torch.arange(tokens.shape[1])
            layers = (self.query, self.key, self.value)
            query, key, value = (layer(stream).unflatten(-1, (4, 4)).transpose(1, 2) for layer in layers)
            bias = self.apart(places[:, None] - places[None] + LENGTH - 1).permute(2, 0, 1)
            mixed = ((query @ key.transpose(-1, -2) / 2 + bias).softmax(-1) @ value).transpose(1, 2).flatten(2)
            return self.head((stream + self.out(mixed)).mean(1))

    module = Distant()
    note = _pruned(module, given, round_to=4)
    assert note["channels"] == {"words": [16, 8], "out": [16, 8]}
    assert module.apart.embedding_dim == 4


def test_a_recurrence_takes_narrower_words(given: Any) -> None:
    class Hears(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.voice = nn.Embedding(WORDS, WIDTH), nn.LSTM(WIDTH, 8, batch_first=True)
            self.head = nn.Linear(8, CLASSES)

        def forward(self, tokens: Any) -> Any:
            return self.head(self.voice(self.words(tokens))[0][:, -1])

    module = Hears()
    note = _pruned(module, given)
    assert note["channels"] == {"words": [WIDTH, 16]}
    assert module.voice.input_size == 16


def test_whole_numbers_among_the_parameters_are_passed_over(given: Any) -> None:
    class Turned(Bag):
        def __init__(self) -> None:
            super().__init__(nn.Embedding)
            self.order = nn.Parameter(torch.arange(WORDS).flip(0), requires_grad=False)

        def forward(self, tokens: Any) -> Any:
            return super().forward(self.order[tokens])

    module = Turned()
    _pruned(module, given)
    assert module.words.embedding_dim == 16
    assert torch.equal(module.order, torch.arange(WORDS).flip(0))
