"""Outcomes: what a model answered, example by example. Everything said about accuracy is computed from these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from makeweight.measure import archive
from makeweight_base.errors import UsageError

ScoreKind = Literal["softmax", "probability", "sigmoid", "none"]
WRONG = -1
"""The prediction that stands for an answer that is no number: it is never right."""


@dataclass(frozen=True)
class Outcomes:
    """One model on one split.

    `kept`: what the task keeps of answers and targets, by name; a file of `measure/tasks/` says which. `finite`, shape
    [examples]: whether every number of the answer is.
    """

    kept: Mapping[str, NDArray[Any]]
    finite: NDArray[np.bool_]
    slices: NDArray[np.str_] | None
    classes: int
    """How many classes the model tells apart; 0 where there are none."""
    scores: ScoreKind
    digest: str
    """Hash of the examples."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Hash of the model file, runtime and version."""
    code: dict[str, str] | None = None
    """sha256 of the files of the repository that were executed for it, by their path from the project's folder; None:
    that was not noted."""
    read: dict[str, str | None] | None = None
    """The same of files that were read meanwhile and that makeweight.yaml does not name; of a folder with many of them
    the folder, without a hash. None: that was not noted."""
    outputs: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """What it answered to the samples that devices are fed with; see `makeweight_probe/outputs.py`."""

    def __len__(self) -> int:
        return len(self.finite)

    def some(self, members: NDArray[np.bool_]) -> Outcomes:
        """The answers to some of the examples, where all that is kept has a row for each; in no slices."""
        kept = {name: values[members] for name, values in self.kept.items()}
        return replace(self, kept=kept, finite=self.finite[members], slices=None)

    @property
    def prediction(self) -> NDArray[Any]:
        """Of a classification, shape [examples]: the top class."""
        return self.kept["prediction"]

    @property
    def confidence(self) -> NDArray[np.float64]:
        """Of a classification, shape [examples]: the probability given to the top class; NaN where nothing is."""
        return self.kept["confidence"]

    @property
    def target(self) -> NDArray[Any]:
        """Shape [examples], or [examples, labels]."""
        return self.kept["target"]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Of a classification, shape [examples]: whether the top class is the target."""
        right: NDArray[np.bool_] = np.asarray(np.equal(self.prediction, self.target))
        return right


def classify(
    scores: NDArray[np.float64], kind: ScoreKind | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64], int, ScoreKind]:
    """Top class and its probability from a classifier's scores, shape [examples, classes] (or [examples], [examples, 1]
    for two classes).

    Scores that already are probabilities (within 0..1, rows summing to 1) are taken as such, others as logits.
    A row with NaN or infinity predicts nothing (`WRONG`).

    Args:
        kind: how to read them; None: found out as above. A variant's are read like the baseline's: rounding must not
            turn probabilities that sum to 0.99 into logits.

    Returns:
        prediction [examples], confidence [examples] (NaN where nothing is predicted), number of classes, kind.

    Raises:
        UsageError: the scores have more than one dimension besides the batch.
    """
    kind = kind or kind_of(scores)
    scores, finite = _rows(scores)
    safe = np.where(finite[:, None], scores, 0.0)
    if scores.shape[1] == 1:
        positive = (
            np.clip(safe[:, 0], 0, 1) if kind == "probability" else 1 / (1 + np.exp(-np.clip(safe[:, 0], -700, 700)))
        )
        probabilities = np.stack([1 - positive, positive], axis=1)
    elif kind == "probability":
        probabilities = np.clip(safe, 0, 1)
    else:
        exponents = np.exp(safe - safe.max(axis=1, keepdims=True))
        probabilities = exponents / exponents.sum(axis=1, keepdims=True)
    prediction = np.where(finite, probabilities.argmax(axis=1), WRONG)
    confidence = np.where(finite, probabilities.max(axis=1), np.nan)
    return prediction.astype(np.int64), confidence, probabilities.shape[1], kind


def kind_of(scores: NDArray[np.float64]) -> ScoreKind:
    """How a classifier's scores are to be read, as `classify` finds it out.

    Raises:
        UsageError: see `classify`.
    """
    scores, finite = _rows(scores)
    scores = scores[finite]
    within = bool(((scores >= 0) & (scores <= 1)).all())
    if scores.shape[1] == 1:
        return "probability" if within else "sigmoid"
    return "probability" if within and bool(np.allclose(scores.sum(axis=1), 1, atol=1e-3)) else "softmax"


def _rows(scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The scores, shape [examples, classes], and for each example whether all of them are finite."""
    if scores.ndim > 2 and max(scores.shape[1:]) != scores[0].size:
        raise UsageError(
            f"a classifier's output is one score per class, and this one has shape {list(scores.shape[1:])} an example",
            where="makeweight.yaml: model.output",
            do="Name the output that holds the class scores, or declare another `task`.",
        )
    scores = scores.reshape(len(scores), -1)
    return scores, np.asarray(np.isfinite(scores).all(axis=1))


_WORDS = ("classes", "scores", "digest", "facts", "code", "read")
_ARRAYS = ("finite", "slices")
_OUTPUTS = "outputs"


def write(path: Path, outcomes: Outcomes) -> None:
    about = {name: getattr(outcomes, name) for name in _WORDS}
    arrays = {name: values for name in _ARRAYS if (values := getattr(outcomes, name)) is not None}
    archive.write(path, about, {archive.ALONE: {**outcomes.kept, **arrays}, _OUTPUTS: outcomes.outputs})


def read(path: Path) -> Outcomes:
    """Read what `write` wrote.

    Raises:
        UsageError: there is no such file, or it is damaged.
    """
    about, groups = archive.read(path, "outcomes")
    arrays, outputs = groups.get(archive.ALONE, {}), groups.get(_OUTPUTS, {})
    try:
        finite, slices = arrays.pop("finite"), arrays.pop("slices", None)
        return Outcomes(finite=finite, slices=slices, kept=arrays, outputs=outputs, **about)
    except (TypeError, KeyError) as error:
        raise archive.damaged(path, error) from error
