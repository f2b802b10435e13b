"""The reference that production is compared with: every answer is counted, in bins that both models share."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeweight.config.settings import TaskSettings
from makeweight.measure.outcomes import WRONG, Outcomes
from makeweight.measure.reference import BINS, describe, edges_of


def answered(confidence: list[float], right: list[bool] | None = None) -> Outcomes:
    n = len(confidence)
    finite = np.isfinite(confidence)
    target = np.arange(n) % 3
    prediction = np.where(right if right is not None else np.ones(n, bool), target, (target + 1) % 3)
    return Outcomes(
        {
            "prediction": np.where(finite, prediction, WRONG),
            "confidence": np.array(confidence),
            "target": target,
        },
        finite,
        None,
        3,
        "softmax",
        "d",
        {"sha256": "s"},
    )


confidences = st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0, float("nan")]), min_size=1, max_size=80)


@given(confidences, confidences)
def test_every_answer_is_counted_once(own: list[float], base: list[float]) -> None:
    edges = edges_of(answered(base))
    assert edges[0] == 0.0
    assert edges[-1] == 1.0
    assert (np.diff(edges) > 0).all()
    assert len(edges) <= BINS + 1
    model = answered(own, [i % 2 == 0 for i in range(len(own))])
    found = describe(TaskSettings(), "digits", "int8", model, answered(base))["confidence"]
    assert len(found["count"]) == len(found["right"]) == len(found["accuracy"]) == len(found["edges"]) - 1
    assert sum(found["count"]) + found["not_finite"] == len(own)
    assert sum(found["right"]) == int(model.right.sum())
    for count, right, accuracy in zip(found["count"], found["right"], found["accuracy"], strict=True):
        assert accuracy == (right / count if count else None)


def test_an_answer_on_an_edge_belongs_above_it_and_the_surest_to_the_last_bin() -> None:
    base = answered([0.0, 0.25, 0.5, 0.75, 1.0])
    edges = edges_of(base).tolist()
    found = describe(TaskSettings(), "m", "v", answered([edges[1], 1.0, 0.0]), base)["confidence"]
    assert (found["count"][0], found["count"][1], found["count"][-1]) == (1, 1, 1)


def test_classes_by_how_often_they_are_and_are_predicted() -> None:
    own = answered([0.9, 0.8, 0.7, 0.6], [True, False, True, True])  # targets 0 1 2 0, answers 0 2 2 0
    found = describe(TaskSettings(classes=["cat", "dog", "owl"]), "digits", "int8", own, own)
    assert found["classes"] == [
        {"name": "cat", "examples": 2, "predicted": 2, "right": 2},
        {"name": "dog", "examples": 1, "predicted": 0, "right": 0},
        {"name": "owl", "examples": 1, "predicted": 2, "right": 1},
    ]
    assert (found["model"], found["variant"], found["examples"], found["sha256"]) == ("digits", "int8", 4, "s")


@pytest.mark.parametrize("off", [[0.0, 0.0, 0.0, 0.0], [0.1, 0.2, 0.3, 0.4], [np.nan, 0.2, 0.3, 0.4]])
def test_a_regression_counts_its_errors(off: list[float]) -> None:
    target = np.zeros((4, 1))

    def of(errors: list[float]) -> Outcomes:
        output = np.array(errors).reshape(4, 1)
        return Outcomes({"prediction": output, "target": target}, np.isfinite(output[:, 0]), None, 0, "none", "d")

    found = describe(TaskSettings(kind="regression"), "m", "v", of(off), of([0.1, 0.2, 0.3, 0.4]))["absolute_error"]
    assert sum(found["count"]) == sum(np.isfinite(off))
    assert len(found["count"]) == len(found["edges"]) - 1
    assert found["edges"][-1] is None, "the last bin is open"


def test_whatever_it_holds_is_json() -> None:
    nothing = answered([float("nan")])
    for task in (TaskSettings(), TaskSettings(kind="custom", metric="a:b")):
        json.dumps(describe(task, "m", "v", nothing, nothing), allow_nan=False)


@pytest.mark.parametrize("kind", ["multilabel", "segmentation", "detection"])
def test_where_nothing_can_be_held_against_it_the_reason_is_told(kind: str) -> None:
    own = Outcomes({}, np.ones(3, bool), None, 0, "none", "d")
    found = describe(TaskSettings(kind=kind), "m", "v", own, own)  # type: ignore[arg-type]
    assert found["unavailable"].startswith("an answer is ")
    assert (found["examples"], "confidence" in found) == (3, False)


def test_a_regression_of_very_many_numbers_says_so_too() -> None:
    own = Outcomes({"absolute": np.ones(3)}, np.ones(3, bool), None, 0, "none", "d")
    assert "more numbers" in describe(TaskSettings(kind="regression"), "m", "v", own, own)["unavailable"]
