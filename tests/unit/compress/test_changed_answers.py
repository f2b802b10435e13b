"""What is said of a module's answers after it was changed, where some of them shut a class out by infinity."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from makeweight.compress.deadend import refuse_broken
from makeweight.compress.narrowing import apart
from makeweight.compress.scores import answers
from makeweight.runtimes.runtime import RecipeFailed

SHUT = -math.inf


def test_answers_are_as_far_apart_as_what_both_know() -> None:
    first = torch.tensor([[SHUT, 1.0, 4.0], [SHUT, SHUT, SHUT]])
    assert apart([first], [first.clone()]) == 0
    assert apart([first], [first - 1]) == 0.25
    assert apart([first], [first.nan_to_num(neginf=-50.0)]) == math.inf
    assert apart([first], [torch.full_like(first, math.nan)]) == math.inf
    assert apart([torch.zeros(0, 3)], [torch.zeros(0, 3)]) == 0
    assert apart([first], None) == math.inf


class Masked(nn.Module):
    """The first class is never meant."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 3)

    def forward(self, x: Any) -> Any:
        return self.layer(x).masked_fill(torch.tensor([True, False, False]), SHUT)


def test_infinity_is_broken_where_there_was_a_number() -> None:
    module, example = Masked(), {"x": torch.ones(2, 2)}
    before = answers(module, example, None)
    refuse_broken(module, example, before, None, "prune: the network", "")
    with torch.no_grad():
        module.layer.bias[1] = math.inf
    with pytest.raises(RecipeFailed, match="prune: the network answers NaN or infinity"):
        refuse_broken(module, example, before, None, "prune: the network", "")
