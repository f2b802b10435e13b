"""What a module answers, and whether a file answers that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from makeweight.runtimes import traced
from makeweight_base.errors import UsageError


@dataclass
class Session:
    """One that always answers the same."""

    answer: Any
    outputs: tuple[str, ...] = ("y",)

    def run(self, _: Any) -> list[Any]:
        return [self.answer]


def _checked(wanted: list[float], given: list[float]) -> None:
    arrays = (np.array(each, np.float32) for each in (wanted, given))
    expected, answer = arrays
    traced.check(Session(answer), {}, {"y": expected}, {}, str)


def test_what_is_shut_out_by_infinity_excuses_no_other_answer() -> None:
    shut = float("-inf")
    _checked([shut, 1.0, 4.0, float("nan")], [shut, 1.0, 4.002, float("nan")])
    _checked([shut, shut], [shut, shut])
    with pytest.raises(UsageError, match="output `y` is off by up to 3, of at most 4"):
        _checked([shut, 1.0, 4.0], [shut, 4.0, 4.0])
    with pytest.raises(UsageError, match="output `y` is off by up to inf, of at most 4"):
        _checked([shut, 1.0, 4.0], [-50.0, 1.0, 4.0])


def test_integers_are_those_of_the_module_but_for_ties() -> None:
    def checked(wanted: Any, given: Any) -> None:
        traced.check(Session(np.array(given, np.int32)), {}, {"y": np.array(wanted)}, {}, str)

    checked([3, 1, 4, 1], [3, 1, 4, 2])
    checked([True, False], [1, 0])
    # of equal scores, another may come first
    checked([[7, 3, 5], [2, 8, 6]], [[5, 7, 3], [8, 6, 2]])
    with pytest.raises(UsageError, match="of output `y`, 1 of 4 integers are the same"):
        checked([3, 1, 4, 1], [3, 0, 0, 0])


class Learned(nn.Module):
    """Answers with something of its own too."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([2.0, 3.0]))

    def forward(self, x: Any) -> Any:
        return {"y": x * self.scale, "scale": self.scale}


class Brief(nn.Module):
    def forward(self, x: Any) -> Any:
        return {"first": x, "second": x.bfloat16()}


def test_a_parameter_is_an_answer_and_numbers_that_numpy_has_not_are_named() -> None:
    given = {"x": torch.tensor([1.0, -1.0])}
    answers = traced.answers(Learned(), given)
    assert {name: each.tolist() for name, each in answers.items()} == {"y": [2.0, -3.0], "scale": [2.0, 3.0]}
    with pytest.raises(UsageError, match="output `second` of the module cannot be compared with anything: TypeError"):
        traced.answers(Brief(), given)
