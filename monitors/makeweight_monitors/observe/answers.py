"""From a classifier's scores to its answer: the top class and the probability it gives to it. Pure functions.

The same reading as `evaluate` has of the test split, so that a confidence in production falls into the bin that it
would have fallen into there; for speed it knows one example and many apart.
"""

from __future__ import annotations

from math import exp, isfinite, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight_monitors.reference import ScoreKind

NOTHING = -1
"""The class of an answer that is no number."""


def one(scores: list[float], kind: ScoreKind) -> tuple[int, float]:
    """Top class and confidence of one example, [classes]; (`NOTHING`, NaN) where a score is NaN or infinite.

    One score alone speaks of two classes: it is (or leads to) the probability of the second.
    """
    if not all(map(isfinite, scores)):
        return NOTHING, nan
    if len(scores) == 1:
        second = min(max(scores[0], 0.0), 1.0) if kind == "probability" else _sigmoid(scores[0])
        return (1, second) if second > 1 - second else (0, 1 - second)
    if kind == "probability":
        clipped = [min(max(score, 0.0), 1.0) for score in scores]
        top = max(clipped)
        return clipped.index(top), top
    top = max(scores)
    powers = [exp(score - top) for score in scores]
    return powers.index(1.0), 1.0 / sum(powers)


def many(
    scores: NDArray[Any], kind: ScoreKind
) -> tuple[NDArray[np.intp], NDArray[np.floating[Any]], NDArray[np.bool_] | None]:
    """Top class [n] and confidence [n] of scores [n, classes], and which of them hold [n]: None where all do.

    Where a score is NaN or infinite the class is `NOTHING` and the confidence NaN.
    """
    if scores.dtype.kind != "f" or scores.dtype.itemsize < 4:
        scores = scores.astype(np.float32 if scores.dtype.kind == "f" else np.float64)
    finite: NDArray[np.bool_] | None = None
    if np.count_nonzero(np.isfinite(scores)) < scores.size:
        finite = np.isfinite(scores).all(axis=1)
        scores = np.where(finite[:, None], scores, 0)
    top, confidence = _read(scores, kind)
    if finite is None:
        return top, confidence, None
    return np.where(finite, top, NOTHING), np.where(finite, confidence, nan), finite


def kind_of(scores: NDArray[Any]) -> ScoreKind:
    """How scores [n, classes] are to be read where nobody said: numbers within 0..1 that sum to 1 are probabilities."""
    within = bool(((scores >= 0) & (scores <= 1)).all())
    if scores.shape[1] == 1:
        return "probability" if within else "sigmoid"
    return "probability" if within and bool(np.allclose(scores.sum(axis=1), 1, atol=1e-3)) else "softmax"


def _read(scores: NDArray[Any], kind: ScoreKind) -> tuple[NDArray[np.intp], NDArray[np.floating[Any]]]:
    if scores.shape[1] == 1:
        column = scores[:, 0]
        second = np.clip(column, 0, 1) if kind == "probability" else 1 / (1 + np.exp(-np.clip(column, -80, 80)))
        top = (second > 1 - second).astype(np.intp)
        return top, np.maximum(second, 1 - second)
    if kind == "probability":
        clipped = np.clip(scores, 0, 1)
        return clipped.argmax(1), np.maximum.reduce(clipped, 1)
    powers = np.exp(scores - np.maximum.reduce(scores, 1, keepdims=True))
    return powers.argmax(1), 1 / np.add.reduce(powers, 1)


def _sigmoid(score: float) -> float:
    return 1 / (1 + exp(-min(max(score, -700.0), 700.0)))
