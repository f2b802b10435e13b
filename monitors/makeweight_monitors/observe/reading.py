"""What a server hands over, as what is counted: the row of each answer's class, the bin of its confidence, its numbers.

An answer that cannot be counted is refused alone, with its reason; a batch of another shape than the model's is refused
whole (ValueError, with the number of its answers where that can be told).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight_monitors.metrics import FAILURES, FailureReason
from makeweight_monitors.observe import answers
from makeweight_monitors.observe.answers import NOTHING
from makeweight_monitors.observe.classes import UNKNOWN, Classes
from makeweight_monitors.observe.failure import FAILED, Failure
from makeweight_monitors.reference import ScoreKind

_ALMOST = 1e-3
"""By how much rounding may carry a probability beyond 0..1."""


@dataclass(slots=True)
class Answered:
    """n answers of one model."""

    count: int
    rows: NDArray[np.intp] | None = None
    """Of the class, [n]; negative where refused. None: regression."""
    bins: NDArray[np.intp] | None = None
    """Of the confidence, [n]; None where it is not known."""
    names: Sequence[str | None] | None = None
    """Of the classes, [n], where they came by name."""
    tops: NDArray[np.intp] | None = None
    """Index of the classes, [n], where they came by index."""
    values: NDArray[np.float64] | None = None
    """Regression: [n, outputs]."""
    kept: NDArray[np.bool_] | None = None
    """Which are counted, [n]; None: all."""
    refused: dict[str, int] = field(default_factory=dict)
    failed: NDArray[np.bool_] | None = None
    """Which failed, [n]; None: none. None of them is in `kept`."""
    failures: dict[FailureReason, int] = field(default_factory=dict)

    def indices(self) -> range | list[int]:
        """Of the answers that are counted."""
        return range(self.count) if self.kept is None else np.flatnonzero(self.kept).tolist()

    def told(self) -> range | list[int]:
        """Of the answers that a label can be about: those that are counted, and those that failed."""
        if self.kept is None or self.failed is None:
            return self.indices()
        found: list[int] = np.flatnonzero(self.kept | self.failed).tolist()
        return found


class Reader:
    """How one model's answers are to be read.

    `edges` are the inner edges of the bins of the confidence. `kind` and `columns` (how many scores an answer has) may
    not be known before the first scores came.
    """

    def __init__(self, classes: Classes | None, kind: ScoreKind | None, edges: Sequence[float]) -> None:
        self.classes = classes
        self.kind = kind
        self.edges = tuple(edges)
        self._edges = np.array(self.edges, np.float64)
        self.columns: tuple[int, ...] = ()
        if classes is not None and classes.declared is not None:
            self.columns = (2, 1) if len(classes.declared) == 2 else (len(classes.declared),)

    def read(self, scores: Any, predictions: Any, confidence: Any = None) -> Answered:
        """Read one answer or a batch, given as scores or as predictions, or as a failure in their place.

        Raises:
            ValueError: the shape is none that the model has, or it holds no numbers.
        """
        if (scores is None) == (predictions is None):
            raise ValueError("give either scores or predictions")
        given = predictions if scores is None else scores
        if isinstance(given, Failure):
            return _of_failure(given)
        if self.classes is None:
            if predictions is None:
                raise ValueError("a model for regression has predictions, no scores")
            return _numbers(predictions)
        if predictions is None:
            return self._scores(scores, self.classes)
        return self._predictions(predictions, confidence, self.classes)

    def text(self, answered: Answered, index: int) -> str:
        """One answer as the label store keeps it."""
        if answered.failed is not None and answered.failed[index]:
            return FAILED
        if answered.values is not None:
            return ",".join(map(repr, answered.values[index].tolist()))
        if answered.names is not None:
            return answered.names[index] or ""
        if answered.tops is None or self.classes is None:
            return ""
        return self.classes.name(int(answered.tops[index])) or ""

    def _scores(self, scores: Any, classes: Classes) -> Answered:
        array = np.asarray(scores)
        if array.dtype == object:  # a null is what some writers of JSON make of NaN
            array = array.astype(np.float64)
        if array.dtype.kind not in "fiub":
            raise ValueError(f"scores of type {array.dtype}")
        if array.ndim == 1:
            array = array[None]
        elif array.ndim > 2 and array.size == len(array) * max(array.shape[1:]):
            array = array.reshape(len(array), -1)
        if array.ndim != 2 or not array.shape[1]:
            raise ValueError(f"scores of shape {list(np.shape(scores))}; [classes] or [n, classes] is expected")
        if not len(array):
            return Answered(0)
        if array.shape[1] not in self.columns:
            if self.columns:
                raise ValueError(f"{array.shape[1]} scores for a model of {self.columns[0]} classes")
            self.columns = (array.shape[1],)
        if self.kind is None:
            finite = array[np.isfinite(array).all(axis=1)]
            if not len(finite):
                nothing = Answered(len(array))
                _fail(nothing, np.ones(len(array), bool))
                return nothing
            self.kind = answers.kind_of(finite)
        tops, sure, kept = answers.many(array, self.kind)
        bins = self._edges.searchsorted(sure, "right")
        if kept is None and classes.straight:
            return Answered(len(array), tops, bins, tops=tops)
        answered = Answered(len(array), classes.rows_of(tops), bins, tops=tops)
        if kept is not None:
            _fail(answered, ~kept)
        return answered

    def _predictions(self, predictions: Any, confidence: Any, classes: Classes) -> Answered:
        array = np.asarray(predictions)
        if array.ndim == 0 or (array.ndim == 2 and array.shape[1] == 1):
            array = array.reshape(-1)
        if array.ndim != 1:
            raise ValueError(f"predictions of shape {list(array.shape)}; one class, or [n] of them, is expected")
        if not len(array):
            return Answered(0)
        answered = Answered(len(array))
        nothing = np.zeros(len(array), bool)
        if array.dtype.kind == "f":
            nothing = ~np.isfinite(array)
            whole = np.where(nothing, 0, array)
            array = np.where(nothing | (whole != np.rint(whole)) | (np.abs(whole) > 2**31), NOTHING, whole)
        if array.dtype.kind in "iubf":
            answered.tops = array.astype(np.intp)
            answered.rows = classes.rows_of(answered.tops)
        else:
            answered.names = [classes.name(answer) for answer in array.tolist()]
            rows = [UNKNOWN if name is None else classes.row(name) for name in answered.names]
            answered.rows = np.array(rows, np.intp)
        _fail(answered, nothing)
        _refuse(answered, "unknown_class", np.asarray(answered.rows < 0))
        if confidence is not None:
            sure = np.asarray(confidence, np.float64).reshape(-1)
            if len(sure) != len(array):
                raise ValueError(f"{len(sure)} confidences for {len(array)} predictions")
            _fail(answered, ~np.isfinite(sure))
            sure = np.where(np.isfinite(sure), sure, 0)
            _refuse(answered, "bad_shape", (sure < -_ALMOST) | (sure > 1 + _ALMOST))
            answered.bins = self._edges.searchsorted(sure, "right")
        return answered


def _numbers(predictions: Any) -> Answered:
    array = np.asarray(predictions, np.float64)
    if array.ndim < 2:
        array = array.reshape(-1, 1)
    if array.ndim != 2:
        raise ValueError(f"predictions of shape {list(array.shape)}; a number, [n] or [n, outputs] is expected")
    answered = Answered(len(array), values=array)
    _fail(answered, np.asarray(~np.isfinite(array).all(axis=1)))
    return answered


def _of_failure(failure: Failure) -> Answered:
    if failure.reason not in FAILURES or failure.count < 1:
        raise ValueError(f"no failure that is counted: {failure}")
    every = np.ones(failure.count, bool)
    return Answered(failure.count, kept=~every, failed=every, failures={failure.reason: failure.count})


def _fail(answered: Answered, which: NDArray[np.bool_]) -> None:
    """NaN or infinite: no answer that could be counted in its class or bin, and a failed one."""
    fresh = which if answered.kept is None else which & answered.kept
    _refuse(answered, "not_finite", which)
    if fresh.any():
        answered.failed = fresh if answered.failed is None else answered.failed | fresh
        answered.failures["not_finite"] = int(np.count_nonzero(answered.failed))


def _refuse(answered: Answered, reason: str, which: NDArray[np.bool_]) -> None:
    """Refuse those that nothing else was found wrong with."""
    if not which.any():
        return
    kept = np.ones(answered.count, bool) if answered.kept is None else answered.kept
    fresh = int(np.count_nonzero(kept & which))
    if fresh:
        answered.refused[reason] = answered.refused.get(reason, 0) + fresh
        answered.kept = kept & ~which
