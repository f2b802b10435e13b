"""Successive halving: which trainings are worth their next epochs. Pure.

Li et al., "A System for Massively Parallel Hyperparameter Tuning", 2020, https://arxiv.org/abs/1810.05934: at shares of
its epochs that grow by a factor, a training goes on where it is among the best of those that came so far.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from makeweight.compress.training_options import TrainingOptions

FACTOR = 3
_RUNGS = 3

Rungs = Mapping[int, float]
"""By rung, the figure that a trial had there: the larger the better."""


def rungs_of(epochs: int) -> dict[int, int]:
    """After how many epochs of that many a training is held against others: `FACTOR`^-1 of them, `FACTOR`^-2 and so
    on, by the rung, which is that exponent. None where that is less than an epoch."""
    found = {rung: epochs // FACTOR**rung for rung in range(1, _RUNGS + 1)}
    return {rung: after for rung, after in found.items() if after >= 1}


def yardstick(trainings: Iterable[TrainingOptions], *, classifies: bool) -> Hashable | None:
    """What all trainings of a recipe tell after each epoch: only recipes that have the same can be held against each
    other. It is the accuracy of a classifier that learns from labels, else a loss, and two kinds of loss have nothing
    in common. None: nothing trains, or not all tell the same.

    Args:
        classifies: whether the task is a classification.
    """
    found = {_told_of(options, classifies=classifies) for options in trainings}
    return found.pop() if len(found) == 1 else None


def _told_of(options: TrainingOptions, *, classifies: bool) -> tuple[Hashable, ...]:
    if options.labels:
        return ("accuracy",) if classifies else ("loss", options.loss)
    return ("distance", options.teacher, options.teacher_weights, options.temperature)


def by_rung(trials: Iterable[Rungs]) -> dict[int, list[float]]:
    """The figures that trials had, by rung."""
    found: dict[int, list[float]] = {}
    for trial in trials:
        for rung, figure in trial.items():
            found.setdefault(rung, []).append(figure)
    return found


def goes_on(own: float, others: Sequence[float]) -> bool:
    """Whether a training is among the best 1/`FACTOR` at its rung. As long as there are fewer than `FACTOR`, each goes
    on, and those that are as good as the last that does."""
    known = sorted([own, *others], reverse=True)
    if len(known) < FACTOR:
        return True
    return own >= known[max(1, len(known) // FACTOR) - 1]
