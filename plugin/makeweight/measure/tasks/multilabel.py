"""Multi-label: any number of labels an example. F1, average precision and AUROC by label, and their mean."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.config.settings import TaskSettings
from makeweight.measure import overlap
from makeweight.measure.bootstrap import Statistic, Weights
from makeweight.measure.outcomes import Outcomes
from makeweight.measure.ranking import Ranking
from makeweight.measure.tasks import whole_set
from makeweight.measure.tasks.readings import least_given, probable
from makeweight.measure.tasks.task import Asked, Figures, Gathered, Kept, Outputs, check_classes, finite
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

    def figures(self, task: TaskSettings, variant: str, own: Outcomes, baseline: Outcomes | None) -> Figures:
        return whole_set.figures(variant, own, baseline, partial(_statistic, task), _reasons(own))

    def check(self, task: TaskSettings, outcomes: Outcomes) -> None:
        check_classes(task, outcomes.classes, outcomes.target.sum(axis=0) > 0, "label")


def _statistic(task: TaskSettings, outcomes: Outcomes) -> Statistic:
    score, target = outcomes.kept["score"].astype(np.float64), outcomes.target > 0
    least = least_given(task.threshold, outcomes.scores)
    # an answer that is no number is the wrong one
    given = np.where(np.isfinite(score), score >= least, ~target)
    counted = [each.astype(np.float64) for each in (target, given, given & target)]
    rankings = [Ranking(score[:, label], target[:, label]) for label in range(target.shape[1])]

    def statistic(weights: Weights) -> dict[str, NDArray[np.float64]]:
        columns = np.ascontiguousarray(weights.T)
        precision, auroc = (
            np.stack(of, axis=1) for of in zip(*(each.areas(columns) for each in rankings), strict=True)
        )
        return {
            "f1": overlap.mean(overlap.f1(*(weights @ each for each in counted))),
            "average_precision": overlap.mean(precision),
            "auroc": overlap.mean(auroc),
        }

    return statistic


def _reasons(outcomes: Outcomes) -> whole_set.Reasons:
    nothing = "no test example has a label"
    everything = "every label that a test example has is every example's, so that there is none without it"
    auroc = everything if outcomes.target.any() else nothing
    return {"f1": nothing, "average_precision": nothing, "auroc": auroc}
