"""Each declared input reaches the parameter of forward that it is meant for, or an error says which it could be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from makeweight.runtimes.inputs import call
from makeweight_base.errors import UsageError

WORDS = {"mask": "m", "ids": "i"}
ONE = {"picture": "p"}


class Module(NamedTuple):
    """As a torch.nn.Module is called."""

    forward: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)


def by_keyword_only(*, ids: Any, mask: Any) -> Any:
    return ids, mask


def by_place_only(ids: Any, mask: Any, /) -> Any:
    return ids, mask


def with_options(ids: Any, mask: Any = None, types: Any = None) -> Any:
    return ids, mask, types


def with_others(ids: Any, **others: Any) -> Any:
    return ids, others


def of_a_dict(batch):  # type: ignore[no-untyped-def]
    return batch


def of_an_annotated_dict(batch: dict[str, Any], train: bool = False) -> Any:
    return batch, train


def of_an_unknown_annotation(batch: Dict[str, NotImported]) -> Any:  # type: ignore[name-defined]  # noqa: F821
    return batch


def of_one(x: Any, scale: Any = None) -> Any:
    return x, scale


def of_options(x: Any = None, y: Any = None) -> Any:
    return x, y


def of_two(ids: Any, other: Any) -> Any:
    return ids, other


def of_a_tensor(x: list[int]) -> Any:
    return x


def of_any(*values: Any) -> Any:
    return values


def passing_on(*values: Any, **named: Any) -> Any:
    return values, named


@pytest.mark.parametrize(
    ("forward", "inputs", "answers"),
    [
        (lambda ids, mask: (ids, mask), WORDS, ("i", "m")),
        (by_keyword_only, WORDS, ("i", "m")),
        (by_place_only, WORDS, ("i", "m")),
        (with_options, WORDS, ("i", "m", None)),
        (with_options, {"types": "t", "ids": "i"}, ("i", None, "t")),
        (with_others, WORDS, ("i", {"mask": "m"})),
        (of_one, ONE, ("p", None)),
        (lambda x=None: x, ONE, "p"),
        (of_a_dict, WORDS, WORDS),
        (of_a_dict, ONE, "p"),
        (of_an_annotated_dict, ONE, (ONE, False)),
        (of_an_annotated_dict, WORDS, (WORDS, False)),
        (of_an_unknown_annotation, ONE, ONE),
        (of_any, WORDS, ("m", "i")),
        (of_any, ONE, ("p",)),
        (passing_on, WORDS, ((), WORDS)),
        (passing_on, ONE, (("p",), {})),
    ],
)
def test_what_forward_is_given(forward: Callable[..., Any], inputs: dict[str, Any], answers: Any) -> None:
    assert call(Module(forward), inputs) == answers


@pytest.mark.parametrize(
    ("forward", "inputs", "shown"),
    [
        (of_two, WORDS, "forward(ids, other)"),
        (of_two, ONE, "forward(ids, other)"),
        (of_two, {"ids": "i"}, "forward(ids, other)"),
        (of_options, ONE, "forward(x=…, y=…)"),
        (of_one, WORDS, "forward(x, scale=…)"),
        (of_a_tensor, WORDS, "forward(x)"),
        (with_others, {"a": 1, "b": 2}, "forward(ids, **others)"),
        (lambda: None, ONE, "forward()"),
    ],
)
def test_what_is_not_clear_is_refused(forward: Callable[..., Any], inputs: dict[str, Any], shown: str) -> None:
    with pytest.raises(UsageError) as refused:
        call(Module(forward), inputs)
    assert shown in refused.value.what
    assert refused.value.what.endswith(f": {', '.join(inputs)}")
