"""Figures of how well scores put positive examples before negative ones, of many resamples at once. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from makeweight.measure import scan

Columns = NDArray[np.float64]
"""How often each example is in each resample, shape [examples, resamples]: `bootstrap.Weights`, turned over."""


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
        starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        ends = np.append(starts[1:], len(ordered))
        # only ties that hold a positive example matter: how many positives there are up to their end, and before them
        counted = np.append(0, np.cumsum(positive[self._order]))
        held = counted[ends] > counted[starts]
        self._positives = self._order[positive[self._order]]
        self._from, self._to = starts[held], ends[held]
        self._positive_to = counted[self._to]

    def areas(self, columns: Columns) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Average precision and AUROC of each resample, both of shape [resamples]; NaN where there is none.

        Average precision is the mean of the precision at each positive example, ties taken together, without
        interpolation: Zhu, "Recall, Precision and Average Precision", University of Waterloo, 2004. AUROC, the area
        under the receiver operating characteristic, is the share of pairs of a positive and a negative example in which
        the positive has the higher score, ties counting half: Fawcett, "An introduction to ROC analysis", Pattern
        Recognition Letters 27(8), 2006.
        """
        nothing = np.full(columns.shape[1], np.nan)
        if len(self._positives) == 0:
            return nothing, nothing
        counted, positives = (scan.sums(columns[order]) for order in (self._order, self._positives))
        upto, found = counted[self._to - 1], positives[self._positive_to - 1]
        own = np.diff(found, axis=0, prepend=0.0)
        all_positives = positives[-1]
        all_negatives = counted[-1] - all_positives
        precision = np.divide(found, upto, out=np.zeros_like(found), where=upto > 0)
        missed = upto - found
        # a positive wins against the negatives after its ties, and by half against those in them
        before = np.where(self._from[:, None] > 0, counted[self._from - 1], 0.0) - (found - own)
        wins = all_negatives * all_positives - np.einsum("ij,ij->j", own, missed + before) / 2
        return (
            _ratio(np.einsum("ij,ij->j", own, precision), all_positives),
            _ratio(wins, all_positives * all_negatives),
        )


def _ratio(part: NDArray[np.float64], of: NDArray[np.float64]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = np.full(of.shape, np.nan)
    return np.divide(part, of, out=shares, where=of > 0)
