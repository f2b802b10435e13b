"""A module that is handed out has weights of its own, or is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from makeweight.user.anew import have_its_own, teach_of_its_own
from makeweight_base.errors import UsageError


def _handed_out(module: Any) -> Any:
    have_its_own(module, "net:build", "here")
    return module


def test_one_that_was_handed_out_before_is_refused_and_so_is_a_part_of_it() -> None:
    kept = _handed_out(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
    for again in (kept, nn.Sequential(kept[0], nn.Linear(2, 3))):
        with pytest.raises(UsageError, match=r"`net:build` gave the same parameter \(`0\.weight`\) in two calls"):
            _handed_out(again)


def test_what_was_read_once_for_all_is_learned_by_one_alone() -> None:
    read = torch.arange(6.0).reshape(3, 2)
    one, other = (_handed_out(nn.Embedding.from_pretrained(read)) for _ in range(2))
    with torch.no_grad():
        one.weight.mul_(2)
    assert torch.equal(other.weight, torch.arange(6.0).reshape(3, 2))


def test_weights_that_are_parts_of_each_other_stay_it() -> None:
    read = torch.zeros(4, 2)

    class Parts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Parameter(read[:2]), nn.Parameter(read[2:])
            self.all = nn.Parameter(read)

    _, parts = _handed_out(Parts()), _handed_out(Parts())
    with torch.no_grad():
        parts.first.fill_(1)
        parts.last.fill_(2)
    assert parts.all[:, 0].tolist() == [1, 1, 2, 2]


def test_one_whose_layers_lost_channels_is_still_the_same() -> None:
    kept = _handed_out(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
    kept[0].weight, kept[0].bias = nn.Parameter(torch.zeros(1, 2)), nn.Parameter(torch.zeros(1))
    with pytest.raises(UsageError, match=r"`net:build` gave the same module in two calls"):
        _handed_out(kept)
    with pytest.raises(UsageError, match=r"`net:build` gave the same module \(`0`\) in two calls"):
        _handed_out(nn.Sequential(kept[0]))
    _handed_out(nn.Sequential(nn.Linear(2, 2), kept[1]))  # what has no weights is as good as another


def test_what_teaches_lies_apart_and_may_be_the_same_in_several_calls() -> None:
    read = torch.zeros(3, 2)
    learns, teaches = _handed_out(nn.Embedding.from_pretrained(read)), nn.Embedding.from_pretrained(read)
    for _ in range(2):
        teach_of_its_own(teaches, "net:teacher", "here")
    with torch.no_grad():
        teaches.weight.fill_(1)
    assert not learns.weight.any()


def test_nothing_learns_of_itself() -> None:
    learns = _handed_out(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))
    learns[0].weight = nn.Parameter(torch.zeros(1, 2))
    for teaches, same in (
        (learns, r"parameter \(`0\.bias`\)"),
        (nn.Sequential(nn.Linear(2, 2), learns[1]), r"parameter \(`1\.weight`\)"),
    ):
        with pytest.raises(UsageError, match=rf"the teacher `net:teacher` has a {same} that is the model's too"):
            teach_of_its_own(teaches, "net:teacher", "here")
    assert all(each.requires_grad for each in learns.parameters())
