"""Recipes with some of it left open: what is open, what is drawn, and what is none."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from makeweight.compress import space
from makeweight.compress.space import Choice, Open, Range, Unfit

STEPS = [
    [{"prune": {"ratio": {"from": 0.25, "to": 0.75}, "exclude": ["head"]}}, None],
    {"finetune": {"epochs": [1, 3]}},
    {"quantize": {"method": ["static", "dynamic"]}},
]


def lists(technique: str, option: str) -> bool:
    return option == "exclude"


def drawn(steps: Any, picks: dict[str, Any], runtime: Any = None) -> tuple[dict[str, Any], list[Open]]:
    """What comes of a recipe when these are settled so, and what was asked."""
    asked: list[Open] = []

    def ask(what: Open) -> Any:
        asked.append(what)
        return picks[what.name]

    return space.read("small", runtime, steps, "onnxruntime").drawn(ask, lists), asked


def test_lists_and_ranges_are_asked_for_and_the_rest_stands() -> None:
    recipe, asked = drawn(
        STEPS,
        {
            "small.steps[0]": '"0: prune"',
            "small.steps[0].prune.ratio": 0.333333,
            "small.steps[1].finetune.epochs": "3",
            "small.steps[2].quantize.method": '"dynamic"',
        },
    )
    assert recipe == {
        "runtime": "onnxruntime",
        "steps": [
            {"prune": {"ratio": 0.333, "exclude": ["head"]}},
            {"finetune": {"epochs": 3}},
            {"quantize": {"method": "dynamic"}},
        ],
    }
    assert [type(each) for each in asked] == [Choice, Range, Choice, Choice]


def test_a_step_that_is_not_taken_asks_for_no_options() -> None:
    picks = {
        "small.steps[0]": '"1: None"',
        "small.steps[1].finetune.epochs": "1",
        "small.steps[2].quantize.method": '"static"',
        "small.runtime": '"litert"',
    }
    recipe, asked = drawn(STEPS, picks, ["onnxruntime", "litert"])
    assert recipe["runtime"] == "litert"
    assert [list(step) for step in recipe["steps"]] == [["finetune"], ["quantize"]]
    assert {each.name for each in asked} == set(picks)


def test_a_choice_among_lists_is_a_list_of_lists() -> None:
    recipe, _ = drawn([{"prune": {"exclude": [["head"], []]}}], {"small.steps[0].prune.exclude": "[]"})
    assert recipe["steps"] == [{"prune": {"exclude": []}}]


def test_what_one_value_leaves_open_is_not_what_another_does() -> None:
    """A sampler takes one name for one thing, and refuses a whole number and any other by one name."""
    spans = [{"from": 1, "to": 3}, {"from": 0.1, "to": 0.5}, 8]
    picks = {"small.steps[0].prune.epochs[0]": 2, "small.steps[0].prune.epochs[1]": 0.25}
    for value, epochs in zip(spans, (2, 0.25, 8), strict=True):
        picks["small.steps[0].prune.epochs"] = json.dumps(value)
        recipe, _ = drawn([{"prune": {"epochs": spans}}], picks)
        assert recipe["steps"] == [{"prune": {"epochs": epochs}}]


def test_ranges_of_whole_numbers_have_no_others_within() -> None:
    assert space.opened({"from": 1, "to": 8, "log": True}, "x") == Range("x", 1, 8, log=True, whole=True)
    assert space.opened({"from": 1, "to": 8.5}, "x") == Range("x", 1, 8.5)
    assert space.opened({"max_ratio": 0.5}, "x") is None


@given(st.floats(1e-6, 1e6), st.floats(1.01, 1e3), st.floats(0, 1))
def test_a_drawn_number_stays_within_its_bounds(low: float, factor: float, at: float) -> None:
    bounds = Range("x", low, low * factor)
    value = bounds.rounded(low + (low * factor - low) * at)
    assert low <= value <= low * factor
    assert value == pytest.approx(low + (low * factor - low) * at, rel=0.006)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "nothing to choose from"),
        ({"from": 2, "to": 1}, "not below"),
        ({"from": 1, "to": 1}, "not below"),
        ({"from": 0, "to": 1, "log": True}, "above zero"),
        ({"from": float("nan"), "to": 1}, "numbers"),
        ({"from": "a", "to": 1}, "numbers"),
        ({"from": True, "to": 1}, "numbers"),
        ({"from": 1, "to": 2, "log": "yes"}, "true or false"),
        ({"from": 1, "to": 2, "step": 1}, "unknown key `step`"),
    ],
)
def test_what_is_no_space_says_why(value: Any, words: str) -> None:
    with pytest.raises(Unfit, match=words):
        space.opened(value, "x")


@pytest.mark.parametrize("steps", [None, [[]], [3], [{"a": {}, "b": {}}], [{"a": [1]}], [[[]]]])
def test_what_are_no_steps_says_where(steps: Any) -> None:
    with pytest.raises(Unfit) as told:
        space.read("small", None, steps, "onnxruntime")
    assert told.value.path[0] == "steps"


def test_corners_are_every_choice_and_both_ends_once_each() -> None:
    recipe = space.read("small", ["a", "b"], STEPS, "a")
    found = list(space.corners(recipe, lists, 1000))
    # with pruning 2 ratios, without it 1; 2 epochs, 2 methods, 2 runtimes
    assert len(found) == (2 + 1) * 2 * 2 * 2
    assert len({repr(each.recipe) for each in found}) == len(found)
    assert found[0].recipe["steps"][0] == {"prune": {"ratio": 0.25, "exclude": ["head"]}}
    assert list(space.corners(recipe, lists, 5)) == found[:5]
    for each in found:
        again = recipe.drawn(lambda what, of=each: of.settled[what.name], lists)
        assert again == each.recipe


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (tuple[str, ...], True),
        (list[int] | None, True),
        (Annotated[list[int], Field(min_length=1)], True),
        (str, False),
        (Annotated[int, Field(ge=1)] | None, False),
        (dict[str, list[int]], False),
    ],
)
def test_fields_that_are_lists_are_known(annotation: Any, expected: bool) -> None:
    assert space.takes_list(annotation) is expected
