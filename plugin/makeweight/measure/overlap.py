"""Figures of classes that are counted by example, of many resamples at once: F1, intersection over union. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def f1(true: NDArray[np.float64], given: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """F1 = 2 TP / (2 TP + FP + FN): van Rijsbergen, "Information Retrieval", 1979, chapter 7.

    Args:
        true: how often each class is the target, shape [..., classes].
        given: how often it is answered.
        right: how often it is both.

    Returns:
        shape [..., classes]; NaN for a class that is never a target.
    """
    return _where_true(2 * right, true + given, true)


def iou(true: NDArray[np.float64], given: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union, TP / (TP + FP + FN) (Jaccard, 1912); arguments and result as for `f1`."""
    return _where_true(right, true + given - right, true)


def mean(by_class: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over the classes that have a figure, shape [...]; NaN where none has."""
    there = np.isfinite(by_class)
    number = np.asarray(there.sum(axis=-1))
    total = np.where(there, by_class, 0.0).sum(axis=-1)
    return np.asarray(np.where(number > 0, total / np.maximum(number, 1), np.nan))


def _where_true(part: NDArray[np.float64], of: NDArray[np.float64], true: NDArray[np.float64]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = np.full(of.shape, np.nan)
    return np.divide(part, of, out=shares, where=true > 0)
