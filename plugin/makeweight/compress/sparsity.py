"""Which weights become zero: those that matter least, of a layer, of all layers, or of every four neighbours."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

FOUR = 4
"""Neighbours of which two are zero: what sparse tensor cores ask for (Mishra et al., "Accelerating Sparse Deep Neural
Networks", 2021, https://arxiv.org/abs/2104.08378)."""

Scores = NDArray[np.floating]
"""What each weight matters: its magnitude, say. The lower, the sooner it goes."""
Zeros = NDArray[np.bool_]


def scheduled(sparsity: float, number: int, rounds: int) -> float:
    """The share of zeros after a round, counted from 1: it rises fast as long as many weights are left.

    Zhu and Gupta, "To prune, or not to prune", 2017, https://arxiv.org/abs/1710.01878, equation 1, from none.
    """
    return sparsity * (1 - (1 - number / rounds) ** 3)


def smallest(scores: Mapping[str, Scores], share: float, together: bool) -> dict[str, Zeros]:
    """Where the smallest stand: that share of each array, or of all `together`."""
    if not together:
        return {name: _smallest(array.ravel(), share).reshape(array.shape) for name, array in scores.items()}
    zeros = _smallest(np.concatenate([array.ravel() for array in scores.values()]), share)
    ends = np.cumsum([array.size for array in scores.values()])
    cut = np.split(zeros, ends[:-1])
    return {name: part.reshape(array.shape) for (name, array), part in zip(scores.items(), cut, strict=True)}


def two_of_four(scores: Scores, axis: int) -> Zeros:
    """Where the two smallest of every four neighbours along an axis stand, whose length four divides."""
    last = np.moveaxis(scores, axis, -1)
    fours = last.reshape(-1, FOUR)
    zeros = np.zeros(fours.shape, bool)
    np.put_along_axis(zeros, np.argsort(fours, axis=1, kind="stable")[:, : FOUR // 2], True, axis=1)
    return np.ascontiguousarray(np.moveaxis(zeros.reshape(last.shape), -1, axis))


def _smallest(flat: Scores, share: float) -> Zeros:
    count = round(share * flat.size)
    zeros = np.zeros(flat.size, bool)
    if count:
        zeros[np.argpartition(flat, count - 1)[:count]] = True
    return zeros
