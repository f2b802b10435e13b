"""Scores are read in production as `evaluate` reads them on the test split."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from makeweight.measure import outcomes
from makeweight_monitors.observe import answers
from makeweight_monitors.observe.answers import NOTHING
from makeweight_monitors.reference import KINDS, ScoreKind

odd = st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1.0, 1e308, -1e308, 5e-324])
scores = arrays.arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=st.floats(-50, 50) | odd)


@given(scores, st.sampled_from(KINDS))
def test_a_batch_is_read_as_evaluate_reads_it(batch: np.ndarray, kind: ScoreKind) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        prediction, confidence, _, _ = outcomes.classify(batch, kind)
        top, sure, kept = answers.many(batch, kind)
    np.testing.assert_array_equal(top, prediction)
    np.testing.assert_allclose(sure, confidence, rtol=1e-12)
    np.testing.assert_array_equal(np.isfinite(batch).all(axis=1), np.ones(len(batch), bool) if kept is None else kept)


@given(scores, st.sampled_from(KINDS))
def test_one_is_read_as_it_is_in_a_batch(batch: np.ndarray, kind: ScoreKind) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        top, sure, _ = answers.many(batch, kind)
    for index, row in enumerate(batch.tolist()):
        alone = answers.one(row, kind)
        assert alone[0] == top[index]
        np.testing.assert_allclose(alone[1], sure[index], rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8])
def test_small_numbers_are_read_as_large_ones(dtype: type) -> None:
    batch = np.array([[1, 5, 3], [7, 0, 0]], dtype)
    top, sure, kept = answers.many(batch, "softmax")
    exact = np.exp(batch.astype(float)) / np.exp(batch.astype(float)).sum(axis=1, keepdims=True)
    assert top.tolist() == [1, 0]
    np.testing.assert_allclose(sure, exact.max(axis=1), rtol=1e-6)
    assert kept is None


def test_what_is_no_number_gives_no_answer() -> None:
    top, sure, kept = answers.many(np.array([[0.0, 1.0], [np.nan, 1.0], [0.0, -np.inf]]), "softmax")
    assert top.tolist() == [1, NOTHING, NOTHING]
    assert np.isnan(sure).tolist() == [False, True, True]
    assert kept is not None
    assert kept.tolist() == [True, False, False]


@given(scores)
def test_how_scores_are_to_be_read_is_found_out_alike(batch: np.ndarray) -> None:
    batch = batch[np.isfinite(batch).all(axis=1)]
    with np.errstate(over="ignore", invalid="ignore"):
        assert not len(batch) or answers.kind_of(batch) == outcomes.classify(batch)[3]
