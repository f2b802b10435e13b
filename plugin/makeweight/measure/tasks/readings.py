"""Scores that are probabilities, or something else: which, is known when all have been seen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.measure.outcomes import ScoreKind
from makeweight.measure.tasks.task import Gathered


class Readings:
    """What is kept of scores, read in either way until it is known which is right.

    They are probabilities where every batch of them could be.
    """

    def __init__(self, known: ScoreKind | None) -> None:
        """`known`: how the baseline's are read, and therefore a variant's: rounding must not turn probabilities that
        sum to 0.99 into logits."""
        self._kind, self._known = known or "probability", known is not None
        self._by_kind: dict[ScoreKind, Gathered] = {}

    def of(self, probable: bool, otherwise: ScoreKind) -> tuple[ScoreKind, ...]:
        """The ways in which a batch is to be kept.

        Args:
            probable: whether it could be probabilities.
            otherwise: what it is if not.
        """
        if self._kind == "probability" and not self._known:
            if probable:
                return "probability", otherwise
            self._kind = otherwise
        return (self._kind,)

    def add(self, kind: ScoreKind, **arrays: NDArray[Any]) -> None:
        self._by_kind.setdefault(kind, Gathered()).add(**arrays)

    def settled(self) -> tuple[ScoreKind, dict[str, NDArray[Any]]]:
        """How they are read, and what was kept of them so."""
        return self._kind, self._by_kind[self._kind].all()


def probable(scores: NDArray[np.float64]) -> bool:
    """Whether every number could be a probability; those that are no numbers say nothing."""
    return bool(((scores >= 0) & (scores <= 1) | ~np.isfinite(scores)).all())


def least_given(threshold: float, kind: ScoreKind) -> float:
    """The score from which a label counts as given, of a probability from which it does: of a logit its logit, so that
    a large one loses no digits."""
    return threshold if kind == "probability" else float(np.log(threshold / (1 - threshold)))
