"""What a classifier's scores mean, and that the file of answers is whole or refused."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from makeweight.measure import outcomes
from makeweight.measure.outcomes import WRONG, Outcomes, classify
from makeweight_base.errors import UsageError


def test_logits_become_probabilities_by_softmax() -> None:
    prediction, confidence, classes, kind = classify(np.array([[0.0, np.log(3.0)], [5.0, 5.0]]))
    assert prediction.tolist() == [1, 0]
    np.testing.assert_allclose(confidence, [0.75, 0.5])
    assert (classes, kind) == (2, "softmax")


def test_probabilities_are_taken_as_they_are() -> None:
    prediction, confidence, classes, kind = classify(np.array([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0]]))
    assert prediction.tolist() == [1, 0]
    assert confidence.tolist() == [0.5, 1.0]
    assert (classes, kind) == (3, "probability")


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 1, 1)])
def test_one_score_tells_two_classes_apart(shape: tuple[int, ...]) -> None:
    prediction, confidence, classes, kind = classify(np.array([0.1, 0.9, 0.5]).reshape(shape))
    assert (prediction.tolist(), classes, kind) == ([0, 1, 0], 2, "probability")
    np.testing.assert_allclose(confidence, [0.9, 0.9, 0.5])
    prediction, confidence, classes, kind = classify(np.array([-np.log(3), np.log(3), 800.0]).reshape(shape))
    assert (prediction.tolist(), classes, kind) == ([0, 1, 1], 2, "sigmoid")
    np.testing.assert_allclose(confidence, [0.75, 0.75, 1.0])


def test_a_variants_scores_are_read_like_the_baselines() -> None:
    """Quantization rounds: probabilities that sum to 0.98 are no logits, 1.004 is no reason for a sigmoid."""
    prediction, confidence, _, kind = classify(np.array([[0.6, 0.3, 0.08]]), "probability")
    assert (prediction.tolist(), confidence.tolist(), kind) == ([0], [0.6], "probability")
    prediction, confidence, _, kind = classify(np.array([0.4, 1.004]), "probability")
    assert (prediction.tolist(), confidence.tolist(), kind) == ([0, 1], [0.6, 1.0], "probability")
    # and logits that happen to lie within 0 to 1 are not probabilities
    prediction, _, _, kind = classify(np.array([0.4, 0.6]), "sigmoid")
    assert (prediction.tolist(), kind) == ([1, 1], "sigmoid")


def test_more_dimensions_than_classes_are_refused() -> None:
    assert classify(np.zeros((2, 10, 1, 1)))[2] == 10
    with pytest.raises(UsageError, match=re.escape("one score per class, and this one has shape [10, 7]")):
        classify(np.zeros((2, 10, 7)))


@given(hnp.arrays(float, st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=st.floats(width=64)))
def test_any_scores_give_a_class_or_nothing(scores: np.ndarray) -> None:
    prediction, confidence, classes, kind = classify(scores)
    finite = np.isfinite(scores).all(axis=1)
    assert (prediction[~finite] == WRONG).all()
    assert np.isnan(confidence[~finite]).all()
    assert ((prediction[finite] >= 0) & (prediction[finite] < classes)).all()
    assert ((confidence[finite] >= 1 / classes - 1e-3) & (confidence[finite] <= 1)).all()
    assert classes == max(2, scores.shape[1])
    again = classify(scores, kind)
    np.testing.assert_array_equal(again[0], prediction)
    np.testing.assert_array_equal(again[1], confidence)


OWN = Outcomes(
    {"prediction": np.array([1, 0]), "confidence": np.array([0.9, 0.8]), "target": np.array([1, 1])},
    np.array([True, True]),
    None,
    2,
    "softmax",
    "d",
    {"version": "1"},
)


def test_right_is_what_matches_the_target() -> None:
    assert OWN.right.tolist() == [True, False]
    assert len(OWN) == 2


def test_outputs_are_no_outcomes(tmp_path: Path) -> None:
    path = tmp_path / "evaluate.npz"
    outcomes.write(path, replace(OWN, outputs={"0:0": np.arange(4.0)}))
    again = outcomes.read(path)
    assert set(again.kept) == {"prediction", "confidence", "target"}
    assert again.outputs["0:0"].tolist() == [0, 1, 2, 3]


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "evaluate.npz"
    with pytest.raises(UsageError, match=r"evaluate\.npz: no such outcomes yet"):
        outcomes.read(path)
    outcomes.write(path, OWN)
    whole = path.read_bytes()
    for content in (b"", whole[:-30], whole[: len(whole) // 2], b"not a zip", whole[:100] + b"\xff" * 50 + whole[150:]):
        path.write_bytes(content)
        with pytest.raises(UsageError, match=r"evaluate\.npz: cannot be read") as told:
            outcomes.read(path)
        assert "unsafely" not in str(told.value), "numpy says how to run what may be in it"
    np.savez(path, prediction=np.zeros(1))
    with pytest.raises(UsageError, match="cannot be read"):
        outcomes.read(path)
