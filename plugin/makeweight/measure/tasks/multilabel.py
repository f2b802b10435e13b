"""Multi-label: any number of labels an example. F1, average precision and AUROC by label, and their mean."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from makeweight.config.settings import TaskSettings
from makeweight.measure import overlap
from makeweight.measure.bootstrap import Statistic, Weights, whole
from makeweight.measure.outcomes import Outcomes
from makeweight.measure.ranking import Ranking
from makeweight.measure.tasks.readings import least_given, probable
from makeweight.measure.tasks.task import (
    Asked,
    ByClass,
    Figures,
    Gathered,
    Kept,
    Outputs,
    by_class,
    check_classes,
    class_names,
    finite,
)
from makeweight.measure.tasks.whole_set import Reasons, WholeSet
from makeweight_base.errors import UsageError


class _Keeper:
    """`score` and `target`, both of shape [examples, labels]: what the model gives, and 1 where the label is the
    example's."""

    def __init__(self, asked: Asked) -> None:
        self._asked, self._gathered = asked, Gathered()

    def add(self, outputs: Outputs, targets: NDArray[Any]) -> NDArray[np.bool_]:
        scores = self._asked.judged(outputs, len(targets))
        scores = scores.reshape(len(scores), -1)
        if scores.shape != targets.shape:
            raise UsageError(
                f"the model gives {scores.shape[1]} scores an example, and the targets have shape "
                f"{list(targets.shape[1:])}: one 0 or 1 for each label is wanted",
                do="Name the output with `model.output`, or mend the targets.",
            )
        self._gathered.add(score=scores, target=targets.astype(np.int8))
        return finite(scores)

    def kept(self) -> Kept:
        arrays = self._gathered.all()
        kind = self._asked.scores or ("probability" if probable(arrays["score"]) else "sigmoid")
        return Kept(arrays, arrays["score"].shape[1], kind)


class MultiLabel:
    keeper = _Keeper
    class_figure: ClassVar[str | None] = "F1"

    def figures(self, task: TaskSettings, variant: str, own: Outcomes, baseline: Outcomes | None) -> Figures:
        made = WholeSet(partial(_statistic, task), _reasons, partial(class_names, task))
        return made.figures(variant, own, baseline)

    def by_class(self, task: TaskSettings, outcomes: Outcomes) -> ByClass:
        of = outcomes.target.sum(axis=0, dtype=np.int64)
        (values,) = _f1(task, outcomes)(whole(len(outcomes)))
        return by_class(task, of, values)

    def check(self, task: TaskSettings, outcomes: Outcomes) -> None:
        check_classes(task, outcomes.classes, outcomes.target.sum(axis=0) > 0, "label")


def _f1(task: TaskSettings, outcomes: Outcomes) -> Callable[[Weights], NDArray[np.float64]]:
    """F1 of each label, shape [resamples, labels]."""
    score, target = outcomes.kept["score"].astype(np.float64), outcomes.target > 0
    least = least_given(task.threshold, outcomes.scores)
    # an answer that is no number is the wrong one
    given = np.where(np.isfinite(score), score >= least, ~target)
    counted = [each.astype(np.float64) for each in (target, given, given & target)]
    return lambda weights: overlap.f1(*(weights @ each for each in counted))


def _statistic(task: TaskSettings, outcomes: Outcomes) -> Statistic:
    score, target, f1 = outcomes.kept["score"].astype(np.float64), outcomes.target > 0, _f1(task, outcomes)
    rankings = [Ranking(score[:, label], target[:, label]) for label in range(target.shape[1])]

    def statistic(weights: Weights) -> dict[str, NDArray[np.float64]]:
        columns, by_label = np.ascontiguousarray(weights.T), f1(weights)
        precision, auroc = (
            np.stack(of, axis=1) for of in zip(*(each.areas(columns) for each in rankings), strict=True)
        )
        return {
            "f1": overlap.mean(by_label),
            "worst_label_f1": by_label,
            "average_precision": overlap.mean(precision),
            "auroc": overlap.mean(auroc),
        }

    return statistic


def _reasons(outcomes: Outcomes) -> Reasons:
    nothing = "no test example has a label"
    everything = "every label that a test example has is every example's, so that there is none without it"
    auroc = everything if outcomes.target.any() else nothing
    return {**dict.fromkeys(("f1", "worst_label_f1", "average_precision"), nothing), "auroc": auroc}
