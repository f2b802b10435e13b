"""Recurrences with thinner inputs: what they answer against the recurrence that they stand for, and their rank."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence

from makeweight.compress.factors import factorization, full_ranks
from makeweight.compress.recurrent import as_layer, in_layers, inputs_of

KINDS = {
    "lstm, both ways, deep, batch first": nn.LSTM(7, 5, 3, bidirectional=True, batch_first=True, dropout=0.5),
    "lstm, projected, without bias": nn.LSTM(7, 6, 2, bias=False, proj_size=3),
    "gru, both ways": nn.GRU(7, 5, bidirectional=True),
    "gru, deep": nn.GRU(7, 4, 2, batch_first=True),
    "rnn of relu": nn.RNN(7, 5, 2, nonlinearity="relu", bidirectional=True),
}


def drawn(kind: str) -> Any:
    torch.manual_seed(1)
    recurrence = copy.deepcopy(KINDS[kind])
    for parameter in recurrence.parameters():
        nn.init.normal_(parameter, std=0.4)
    return recurrence.eval()


def thinned(recurrence: Any, ranks: dict[int, int]) -> Any:
    cuts = {}
    for number, rank in ranks.items():
        layer = as_layer(recurrence, number)
        cuts[number] = factorization(layer, "tucker").cut([min(rank, *full_ranks(layer, "tucker"))]).factors
    return in_layers(recurrence, cuts)


def flat(answer: Any) -> list[Any]:
    """All tensors of an answer, in order."""
    return [answer] if isinstance(answer, torch.Tensor) else [each for part in answer for each in flat(part)]


def state_of(recurrence: Any, *batch: int) -> Any:
    count = recurrence.num_layers * (2 if recurrence.bidirectional else 1)
    hidden = torch.randn(count, *batch, recurrence.proj_size or recurrence.hidden_size)
    return (hidden, torch.randn(count, *batch, recurrence.hidden_size)) if recurrence.mode == "LSTM" else hidden


@pytest.mark.parametrize("kind", KINDS)
def test_at_full_rank_it_answers_what_the_recurrence_answers(kind: str) -> None:
    recurrence = drawn(kind)
    # a layer stays as it is
    made = thinned(recurrence, dict.fromkeys(range(max(recurrence.num_layers - 1, 1)), 99))
    sounds = torch.randn(4, 6, 7)
    states = state_of(recurrence, 4 if recurrence.batch_first else 6)
    with torch.no_grad():
        for given in ((sounds,), (sounds, states), (sounds[0],), (sounds[0], state_of(recurrence))):
            for one, other in zip(flat(made(*given)), flat(recurrence(*given)), strict=True):
                assert torch.allclose(one, other, atol=1e-5)
        packed = pack_sequence([torch.randn(length, 7) for length in (3, 6, 1)], enforce_sorted=False)
        for given in ((packed,), (packed, state_of(recurrence, 3))):
            (one, ends), (other, others) = made(*given), recurrence(*given)
            assert torch.allclose(pad_packed_sequence(one)[0], pad_packed_sequence(other)[0], atol=1e-5)
            assert all(torch.allclose(*each, atol=1e-5) for each in zip(flat(ends), flat(others), strict=True))
    for name, weight in recurrence.named_parameters():
        assert torch.allclose(getattr(made, name), weight, atol=1e-5), name
    assert not hasattr(made, "weight_ih_l9")
    assert (made.hidden_size, made.bidirectional) == (recurrence.hidden_size, recurrence.bidirectional)


@pytest.mark.parametrize("kind", KINDS)
def test_both_ways_together_are_the_nearest_matrix_of_the_rank(kind: str) -> None:
    recurrence = drawn(kind)
    made = thinned(recurrence, {0: 3})
    ((_, told, names), *_) = inputs_of(recurrence, "deep.voice")
    assert told == names[0] == "deep.voice.weight_ih_l0"
    own = [name.rpartition(".")[2] for name in names]
    assert len(own) == (2 if recurrence.bidirectional else 1)
    before, after = (
        torch.cat([getattr(each, name) for name in own]).detach().numpy().astype(np.float64)
        for each in (recurrence, made)
    )
    values = np.linalg.svd(before, compute_uv=False)
    assert np.linalg.matrix_rank(after, tol=1e-4) == 3
    assert np.linalg.norm(before - after) == pytest.approx(np.linalg.norm(values[3:]), rel=1e-4)  # Eckart and Young
    assert made.layers[0].input_size == 3
    assert sum(each.numel() for each in made.inputs[0].parameters()) == 3 * 7


def test_it_learns_and_drops_between_layers_as_the_recurrence_does() -> None:
    recurrence = drawn("lstm, both ways, deep, batch first").train()
    made = thinned(recurrence, {0: 99})
    assert made.training
    sounds, answers = torch.randn(4, 6, 7), []
    for module, _ in itertools.product((made, recurrence), range(2)):
        answers.append(module(sounds)[0].detach())
    assert not torch.allclose(answers[0], answers[1])
    assert not torch.allclose(answers[2], answers[3])
    made.flatten_parameters()
    copied = copy.deepcopy(made)
    made(sounds)[0].sum().backward()
    assert all(parameter.grad is not None and bool(parameter.grad.any()) for parameter in made.parameters())
    assert all(parameter.grad is None for parameter in copied.parameters())
