"""Whatever a module returns, its tensors have names."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch

from makeweight.runtimes.outputs import judged, named
from makeweight_base.errors import UsageError

A, B, C = torch.zeros(1), torch.ones(2), torch.ones(3)


@dataclass
class Answer:
    """As transformers return them."""

    loss: Any = None
    logits: Any = None
    past: Any = None


class Found(NamedTuple):
    """As detectors return them."""

    boxes: Any
    scores: Any


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        (A, {"output": A}),
        ([A], {"output": A}),
        ((A, None, (B, [C])), {"output": A, "output_1": B, "output_2": C}),
        ({"a": A, "none": None, "number": 3.0, "text": "ab"}, {"a": A}),
        (OrderedDict(b=B, a=A), {"b": B, "a": A}),
        ({"a": A, "past": ((B, C), (A,))}, {"a": A, "past_0": B, "past_1": C, "past_2": A}),
        ({"head": {"boxes": A, "scores": B}}, {"head_boxes": A, "head_scores": B}),
        ({0: A, 1: B}, {"0": A, "1": B}),
        (Answer(logits=A), {"logits": A}),
        (Answer(logits=A, past=((B, C),)), {"logits": A, "past_0": B, "past_1": C}),
        (Found(A, B), {"boxes": A, "scores": B}),
        ((A, Found(B, C)), {"output": A, "output_1": B, "output_2": C}),
    ],
)
def test_the_tensors_of_an_answer(answer: Any, names: dict[str, Any]) -> None:
    found = named(answer)
    assert list(found) == list(names)
    assert all(found[name] is tensor for name, tensor in names.items())


@pytest.mark.parametrize("answer", [None, 3.0, "text", {}, (), Answer(), Answer])
def test_an_answer_without_a_tensor(answer: Any) -> None:
    with pytest.raises(UsageError, match="which holds no tensor"):
        named(answer)


def test_two_tensors_of_one_name() -> None:
    with pytest.raises(UsageError, match="two tensors that would both be called `a_0`"):
        named({"a": (A,), "a_0": B})


def test_what_is_judged() -> None:
    answer = Answer(logits=A, past=(B,))
    assert judged(answer, None) is A
    assert judged(answer, "past_0") is B
    with pytest.raises(UsageError, match="no output `loss`; it has logits, past_0"):
        judged(answer, "loss")
