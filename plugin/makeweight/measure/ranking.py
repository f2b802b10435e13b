"""Figures of how well scores put positive examples before negative ones, of many resamples at once. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from makeweight.measure.bootstrap import Weights


class Ranking:
    """Examples in the order of one score, ties together."""

    def __init__(self, scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> None:
        """Args:
        scores: shape [examples]; higher is more likely positive. NaN is ranked as wrong as can be.
        positive: shape [examples].
        """
        worst = np.where(positive, -np.inf, np.inf)
        ranked = np.where(np.isnan(scores), worst, scores)
        self._order = np.argsort(-ranked, kind="stable")
        ordered = ranked[self._order]
        places = np.arange(len(ordered))
        starts = np.append(True, ordered[1:] != ordered[:-1]) if len(ordered) else np.zeros(0, bool)
        self._positive = positive[self._order]
        at = np.flatnonzero(self._positive)
        group = np.cumsum(starts) - 1
        firsts = np.append(places[starts], len(ordered))
        # of each positive: how many examples stand before its ties, and how many up to their end
        self._at, self._before, self._upto = at, firsts[group[at]], firsts[group[at] + 1]

    def auroc(self, weights: Weights) -> NDArray[np.float64]:
        """Area under the receiver operating characteristic: the share of pairs of a positive and a negative example in
        which the positive has the higher score, ties counting half. Fawcett, "An introduction to ROC analysis",
        Pattern Recognition Letters 27(8), 2006. NaN without one of the two.
        """
        ordered = weights[:, self._order]
        negatives = _running(np.where(self._positive, 0.0, ordered))
        wins = negatives[:, -1:] - (negatives[:, self._before] + negatives[:, self._upto]) / 2
        own = ordered[:, self._at]
        pairs = own.sum(axis=1) * negatives[:, -1]
        return _ratio((own * wins).sum(axis=1), pairs)

    def average_precision(self, weights: Weights) -> NDArray[np.float64]:
        """Mean of the precision at each positive example, ties taken together, without interpolation: Zhu, "Recall,
        Precision and Average Precision", University of Waterloo, 2004. NaN without a positive.
        """
        ordered = weights[:, self._order]
        positives = _running(np.where(self._positive, ordered, 0.0))[:, self._upto]
        own = ordered[:, self._at]
        return _ratio((own * _ratio(positives, _running(ordered)[:, self._upto], 0.0)).sum(axis=1), own.sum(axis=1))


def _running(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of the first 0, 1, 2, ... along the rows."""
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)


def _ratio(part: NDArray[np.float64], of: NDArray[np.float64], otherwise: float = np.nan) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = np.full(of.shape, otherwise)
    return np.divide(part, of, out=shares, where=of > 0)
