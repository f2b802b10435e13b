"""AUROC and average precision against scikit-learn's, weighted and with ties; and against what is counted by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeweight.measure.bootstrap import draws
from makeweight.measure.ranking import Ranking

cases = st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=40).filter(
    lambda rows: len({positive for _, positive in rows}) == 2
)


@given(cases, st.integers(0, 2**32 - 1))
def test_they_are_those_of_scikit_learn_on_any_resample(rows: list[tuple[int, bool]], seed: int) -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    scores, positive = (np.array(column) for column in zip(*rows, strict=True))
    ranking = Ranking(scores.astype(float), positive)
    drawn = np.bincount(np.random.default_rng(seed).integers(0, len(rows), len(rows)), minlength=len(rows))
    weights = np.stack([np.ones(len(rows)), drawn]).astype(float)
    for row, precision, auroc in zip(weights, *ranking.areas(weights.T), strict=True):
        there = np.repeat(np.arange(len(rows)), row.astype(int))
        if positive[there].any():
            assert precision == pytest.approx(average_precision_score(positive[there], scores[there]))
        else:
            assert np.isnan(precision)
        if 0 < positive[there].sum() < len(there):
            assert auroc == pytest.approx(roc_auc_score(positive[there], scores[there]))
        else:
            assert np.isnan(auroc)


def test_by_hand() -> None:
    """Positives at places 1 and 3 of four: precisions 1 and 2/3, and three of four pairs the right way round."""
    ranking = Ranking(np.array([0.9, 0.8, 0.7, 0.1]), np.array([True, False, True, False]))
    precision, auroc = ranking.areas(np.ones((4, 1)))
    assert precision == pytest.approx((1 + 2 / 3) / 2)
    assert auroc == pytest.approx(3 / 4)


def test_a_score_that_is_no_number_is_ranked_as_wrong_as_can_be() -> None:
    positive = np.array([True, False, True, False])
    broken = Ranking(np.array([0.9, np.nan, np.nan, 0.1]), positive)
    wrong = Ranking(np.array([0.9, 9.0, -9.0, 0.1]), positive)
    columns = next(draws(4)).T
    np.testing.assert_array_equal(broken.areas(columns), wrong.areas(columns))
