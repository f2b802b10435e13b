"""Regression: numbers, of any shape. Errors over all of them, and R squared where the outputs are few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from makeweight.config.settings import TaskSettings
from makeweight.measure.bootstrap import Statistic, Weights
from makeweight.measure.outcomes import Outcomes
from makeweight.measure.tasks.task import Asked, Figures, Gathered, Kept, Outputs, finite
from makeweight.measure.tasks.whole_set import Reasons, WholeSet
from makeweight_base.errors import UsageError

FEW = 256
"""Up to so many numbers an example, of the same number in each, are kept; of more the sums of their errors."""


class _Keeper:
    """Of every example the sums over its numbers, shape [examples]: `absolute`, of |output - target|; `squared`, of its
    square; `count`, how many there are. Where all examples have the same few: `prediction` and `target` as well, shape
    [examples, outputs]."""

    def __init__(self, asked: Asked) -> None:
        self._asked, self._sums, self._numbers = asked, Gathered(), Gathered()
        self._size: int | None = None

    def add(self, outputs: Outputs, targets: NDArray[Any]) -> NDArray[np.bool_]:
        given = self._asked.judged(outputs, len(targets))
        ragged = targets.dtype == object
        if is_turned(given.shape[1:], targets.shape[1:]):
            raise UsageError(
                f"the model gives shape {list(given.shape[1:])} an example, and the targets have "
                f"{list(targets.shape[1:])}: as many numbers, in another order",
                do="Transpose the targets in the loader, so that each number stands where the model gives it.",
            )
        if not ragged and given.size == targets.size:
            return self._rows(given.reshape(len(given), -1), targets.reshape(len(given), -1))
        shapes = [list(np.shape(target)) for target in targets]
        fitting = [np.size(target) == each.size for each, target in zip(given, targets, strict=True)]
        if not all(fitting):
            raise UsageError(
                f"the model gives {given[0].size} numbers an example, and the targets have shape "
                f"{shapes[fitting.index(False)]}",
                do="Name the output with `model.output`, or mend the targets.",
            )
        return self._rows(given.reshape(len(given), -1), np.stack([np.ravel(target) for target in targets]))

    def _rows(self, given: NDArray[Any], wanted: NDArray[Any]) -> NDArray[np.bool_]:
        with np.errstate(invalid="ignore", over="ignore"):  # what is no number is told by the figures
            off = given.astype(np.float64) - wanted
            squared = np.square(off).sum(axis=1)
        count = np.full(len(off), off.shape[1])
        self._sums.add(absolute=np.abs(off).sum(axis=1), squared=squared, count=count)
        if off.shape[1] > FEW or self._size not in (None, off.shape[1]):
            self._numbers, self._size = Gathered(), 0
        if self._size != 0:
            self._size = off.shape[1]
            self._numbers.add(prediction=given.astype(np.float64), target=wanted.astype(np.float64))
        return finite(given)

    def kept(self) -> Kept:
        return Kept({**self._sums.all(), **self._numbers.all()})


class Regression:
    keeper = _Keeper
    class_figure: ClassVar[str | None] = None

    def figures(self, task: TaskSettings, variant: str, own: Outcomes, baseline: Outcomes | None) -> Figures:
        del task
        return WholeSet(_statistic, _reasons).figures(variant, own, baseline)

    def by_class(self, task: TaskSettings, outcomes: Outcomes) -> None:
        """Numbers have no classes."""
        del task, outcomes

    def check(self, task: TaskSettings, outcomes: Outcomes) -> None:
        """Any numbers can be judged."""
        del task, outcomes


def is_turned(given: Sequence[int], wanted: Sequence[int]) -> bool:
    """Whether two shapes have the same sizes in another order, as channels first and channels last have: number by
    number, what stands side by side in the one would be held against what does in the other."""
    one, other = ([size for size in shape if size != 1] for shape in (given, wanted))
    return one != other and sorted(one) == sorted(other)


def _statistic(outcomes: Outcomes) -> Statistic:
    kept = outcomes.kept
    sums = np.stack([kept["absolute"], kept["squared"], kept["count"].astype(np.float64)], axis=1)
    known = bool(np.isfinite(sums).all())
    target = _varying(kept.get("target"))

    def statistic(weights: Weights) -> dict[str, NDArray[np.float64]]:
        if not known:
            nothing = np.full(len(weights), np.nan)
            return {"mae": nothing, "rmse": nothing, "r2": nothing}
        absolute, squared, count = (weights @ sums).T
        return {"mae": absolute / count, "rmse": np.sqrt(squared / count), "r2": 1 - squared / _total(target, weights)}

    return statistic


def _varying(target: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """The targets around their mean, so that sums of squares lose no digits; None: they have no variance to explain."""
    # their mean is not exactly theirs where all are the same, so that the total would not be exactly 0
    if target is None or (target == target[0]).all():
        return None
    around: NDArray[np.float64] = target - target.mean(axis=0)
    return around


def _total(target: NDArray[np.float64] | None, weights: Weights) -> NDArray[np.float64]:
    """The total sum of squares, each output around its own mean; NaN where there is none."""
    if target is None:
        return np.full(len(weights), np.nan)
    total = weights @ np.square(target).sum(axis=1) - np.square(weights @ target).sum(axis=1) / weights.sum(axis=1)
    scale = np.square(target).sum()
    return np.where(total > scale * 1e-12, total, np.nan)


def _reasons(outcomes: Outcomes) -> Reasons:
    if not outcomes.finite.all():
        return dict.fromkeys(("mae", "rmse", "r2"), "answers hold NaN or infinity")
    if not np.isfinite(outcomes.kept["squared"]).all():
        return dict.fromkeys(("mae", "rmse", "r2"), "errors are too large to be squared")
    same, many = "every target is the same", f"it is of outputs with a mean each, and there are more than {FEW}"
    return {"mae": "", "rmse": "", "r2": same if "target" in outcomes.kept else many}
