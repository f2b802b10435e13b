"""The reference: how a model answered the test split, for production to be compared with. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.budget.metric import TaskKind
from makeweight.config.settings import TaskSettings
from makeweight.measure.outcomes import Outcomes
from makeweight.measure.tasks.task import class_name

BINS = 20
FORMAT = 1
_UNAVAILABLE: Mapping[TaskKind, str] = {
    "multilabel": "an answer is several labels, and not right or wrong as a whole",
    "regression": "an answer is more numbers than are counted one by one",
    "segmentation": "an answer is a class for every place, and not right or wrong as a whole",
    "detection": "an answer is any number of boxes, which have no one confidence and no one class",
    "custom": "only your metric can tell how good an answer is",
}


def edges_of(baseline: Outcomes) -> NDArray[np.float64]:
    """Bin edges that both models share: quantiles of the baseline's confidence, so that each bin holds about as many
    examples; equal ones merged, the ends at 0 and 1. Shape [bins + 1], at most BINS bins.
    """
    values = baseline.confidence[np.isfinite(baseline.confidence)]
    inner = np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1]) if len(values) else np.array([])
    # Edges nearer than this would name bins that a replica's float32 scores cannot be told apart by.
    kept = np.unique(np.round(inner, 6))
    return np.concatenate([[0.0], kept[(kept > 0) & (kept < 1)], [1.0]])


def describe(task: TaskSettings, model: str, variant: str, own: Outcomes, baseline: Outcomes) -> dict[str, Any]:
    """What the monitors start from, as plain data.

    Classification: a histogram of the confidence in the top class, how often the model was right in each bin
    (calibration, per variant: compression changes it), classes with how often each was predicted. Regression: a
    histogram of the absolute error. Of every other task `unavailable` says why there is nothing to be held against.
    """
    about = {"format": FORMAT, "model": model, "variant": variant, "task": task.kind, "examples": len(own), **own.facts}
    if task.kind == "classification":
        return {**about, "classes": _classes(task, own), "confidence": _confidence(own, edges_of(baseline))}
    if task.kind == "regression" and "prediction" in own.kept:
        return {**about, "absolute_error": _errors(own, baseline)}
    return {**about, "unavailable": _UNAVAILABLE[task.kind]}


def _classes(task: TaskSettings, own: Outcomes) -> list[dict[str, Any]]:
    return [
        {
            "name": class_name(task, index),
            "examples": int(np.count_nonzero(own.target == index)),
            "predicted": int(np.count_nonzero(own.prediction == index)),
            "right": int(np.count_nonzero(own.right & (own.target == index))),
        }
        for index in range(own.classes)
    ]


def _confidence(own: Outcomes, edges: NDArray[np.float64]) -> dict[str, Any]:
    finite = np.isfinite(own.confidence)
    # the last bin is closed on both sides: a confidence of exactly 1 belongs to it
    bins = np.clip(np.searchsorted(edges, own.confidence[finite], side="right") - 1, 0, len(edges) - 2)
    counts = np.bincount(bins, minlength=len(edges) - 1)
    right = np.bincount(bins, weights=own.right[finite], minlength=len(edges) - 1).astype(int)
    return {
        "scores": own.scores,
        "edges": edges.tolist(),
        "count": counts.tolist(),
        "right": right.tolist(),
        "accuracy": [r / n if n else None for r, n in zip(right.tolist(), counts.tolist(), strict=True)],
        "not_finite": int(np.count_nonzero(~finite)),
    }


def _errors(own: Outcomes, baseline: Outcomes) -> dict[str, Any]:
    before = np.abs(baseline.prediction - baseline.target).ravel()
    after = np.abs(own.prediction - own.target).ravel()
    edges = np.unique(np.quantile(before, np.linspace(0, 1, BINS + 1)[1:-1]))
    counts = np.bincount(np.searchsorted(edges, after[np.isfinite(after)], side="right"), minlength=len(edges) + 1)
    return {"edges": [0.0, *edges.tolist(), None], "count": counts.tolist()}
