"""Classification: one of several classes. Paired example by example; F1 and the areas of two classes by bootstrap."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from makeweight.budget.metric import METRICS
from makeweight.config.settings import TaskSettings
from makeweight.layout import BASELINE
from makeweight.measure import overlap
from makeweight.measure.bootstrap import Statistic, Weights
from makeweight.measure.outcomes import Outcomes, ScoreKind, classify, kind_of
from makeweight.measure.ranking import Ranking
from makeweight.measure.statistics import mcnemar, paired_difference, wilson
from makeweight.measure.tasks.readings import Readings
from makeweight.measure.tasks.task import (
    Asked,
    ByClass,
    Figures,
    Kept,
    Outputs,
    by_class,
    check_classes,
    class_name,
    finite,
)
from makeweight.measure.tasks.whole_set import CONFIDENCE, Reasons, WholeSet, groups
from makeweight.measurement import Measurement
from makeweight_base.errors import UsageError

_PAIRED = "paired on the test split, 95 % interval (Bonett-Price)"


class _Keeper:
    """`prediction`, shape [examples]: the top class; `confidence`, shape [examples]: the probability given to it; and
    `target`, shape [examples]. Of two classes also `second`, shape [examples]: what the second one is ranked by."""

    def __init__(self, asked: Asked) -> None:
        self._asked, self._readings, self._classes = asked, Readings(asked.scores), 0

    def add(self, outputs: Outputs, targets: NDArray[Any]) -> NDArray[np.bool_]:
        scores = self._asked.judged(outputs, len(targets)).astype(np.float64)
        otherwise: ScoreKind = "sigmoid" if scores.size == len(scores) else "softmax"
        for kind in self._readings.of(kind_of(scores) == "probability", otherwise):
            prediction, confidence, self._classes, _ = classify(scores, kind)
            ranked = {"second": _ranked(scores, kind)} if self._classes == 2 else {}
            self._readings.add(kind, prediction=prediction, confidence=confidence, target=targets, **ranked)
        return finite(scores)

    def kept(self) -> Kept:
        kind, arrays = self._readings.settled()
        return Kept(arrays, self._classes, kind)


class Classification:
    keeper = _Keeper
    class_figure: ClassVar[str | None] = "accuracy"

    def figures(self, task: TaskSettings, variant: str, own: Outcomes, baseline: Outcomes | None) -> Figures:
        yield from _by_example(task, variant, own, baseline)
        yield from WholeSet(partial(_statistic, task), _reasons).figures(variant, own, baseline)

    def by_class(self, task: TaskSettings, outcomes: Outcomes) -> ByClass:
        of = np.bincount(outcomes.target, minlength=outcomes.classes)
        right = np.bincount(outcomes.target[outcomes.right], minlength=outcomes.classes)
        return by_class(task, of, right / np.maximum(of, 1))

    def check(self, task: TaskSettings, outcomes: Outcomes) -> None:
        highest = int(outcomes.target.max())
        if highest >= outcomes.classes:
            raise UsageError(
                f"target {highest} is beyond the model's {outcomes.classes} classes (0 to {outcomes.classes - 1})",
                where="the test split",
                do="Mend the targets, or name the right output with `model.output`.",
            )
        check_classes(task, outcomes.classes, np.bincount(outcomes.target, minlength=outcomes.classes) > 0)


def _by_example(task: TaskSettings, variant: str, own: Outcomes, baseline: Outcomes | None) -> Figures:
    right, n = own.right, len(own)
    yield _share("accuracy", variant, int(right.sum()), n, "test split,")
    members_of = {c: own.target == c for c in range(own.classes) if (own.target == c).any()}
    worst = min(members_of, key=lambda c: float(right[members_of[c]].mean()))
    lowest = _share("worst_class_accuracy", variant, *_counted(right, members_of[worst]), "lowest of the classes,")
    yield replace(lowest, detail=class_name(task, worst))
    for name, members in groups(own):
        yield replace(_share("accuracy", variant, *_counted(right, members), "examples of the slice,"), slice=name)
    if baseline is None:
        return
    before = baseline.right
    yield _drop("accuracy", variant, before, right)
    drops = {c: _drop("worst_class_accuracy", variant, before[of], right[of]) for c, of in members_of.items()}
    deepest = max(drops, key=lambda c: drops[c].value or 0.0)
    fell = (drops[deepest].value or 0.0) > 0
    yield replace(drops[deepest], detail=class_name(task, deepest) if fell else None)
    for name, members in groups(own):
        yield replace(_drop("accuracy", variant, before[members], right[members]), slice=name)
    harm, gain = _flips(before, right)
    yield replace(_share("negative_flips", variant, harm, n, "baseline right, variant wrong;"), against=BASELINE)
    yield replace(_share("positive_flips", variant, gain, n, "baseline wrong, variant right;"), against=BASELINE)
    p = mcnemar(harm, gain)
    yield Measurement("mcnemar_p", variant, "probability", p, None, n, "exact McNemar test", against=BASELINE)


def _share(metric: str, variant: str, count: int, n: int, of: str) -> Measurement:
    method = f"{of} 95 % interval (Wilson)"
    return Measurement(metric, variant, "fraction", count / n, wilson(count, n, CONFIDENCE), n, method)


def _counted(right: NDArray[np.bool_], members: NDArray[np.bool_]) -> tuple[int, int]:
    """How many of the members are right, and how many there are."""
    return int(right[members].sum()), int(members.sum())


def _flips(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> tuple[int, int]:
    return int(np.count_nonzero(before & ~after)), int(np.count_nonzero(~before & after))


def _drop(metric: str, variant: str, before: NDArray[np.bool_], after: NDArray[np.bool_]) -> Measurement:
    (harm, gain), n = _flips(before, after), len(before)
    fall = (harm - gain) / n  # from counts, so that 1 of 200 is 0.005 to the last bit
    spread = paired_difference(harm, gain, n, CONFIDENCE)
    return Measurement(metric, variant, "fraction", fall, spread, n, _PAIRED, BASELINE, comparison="drop")


def _statistic(task: TaskSettings, outcomes: Outcomes) -> Statistic:
    """F1; with two named classes also the areas, of the second as the positive one."""
    prediction, target, classes = outcomes.prediction, outcomes.target, outcomes.classes
    answered, right = prediction >= 0, outcomes.right
    keys, many = (target, prediction[answered], target[right]), max(classes, int(target.max()) + 1)
    areas = task.has(METRICS["auroc"]) and classes == 2
    ranking = Ranking(_of_second(outcomes), target == 1) if areas else None

    def statistic(weights: Weights) -> dict[str, NDArray[np.float64]]:
        parts = [weights, weights[:, answered], weights[:, right]]
        counts = [
            np.array([np.bincount(classes_of, row, minlength=many) for row in part])
            for classes_of, part in zip(keys, parts, strict=True)
        ]
        found = {"f1": overlap.mean(overlap.f1(*counts))}
        if ranking is not None:
            found["average_precision"], found["auroc"] = ranking.areas(np.ascontiguousarray(weights.T))
        return found

    return statistic


def _ranked(scores: NDArray[np.float64], kind: ScoreKind) -> NDArray[np.float64]:
    """How far the second of two classes is put before the first, shape [examples]; NaN where nothing is predicted.

    Its own probability, or the difference of logits: one less the other's probability is 0 for all below 1e-16, and for
    all below 6e-8 in single precision, so that most of a sure model's answers would be ties.
    """
    rows = scores.reshape(len(scores), -1)
    with np.errstate(invalid="ignore"):
        by = rows[:, -1] if rows.shape[1] == 1 or kind == "probability" else rows[:, 1] - rows[:, 0]
    return np.where(np.isfinite(rows).all(axis=1), by, np.nan)


def _of_second(outcomes: Outcomes) -> NDArray[np.float64]:
    """What the second of two classes is ranked by; NaN where nothing is predicted."""
    if "second" in outcomes.kept:
        return outcomes.kept["second"]
    # kept by an earlier version
    return np.where(outcomes.prediction == 1, outcomes.confidence, 1 - outcomes.confidence)


def _reasons(outcomes: Outcomes) -> Reasons:
    lacking = "positive, that is of class 1" if not (outcomes.target == 1).any() else "negative, that is of class 0"
    return {"f1": "", **dict.fromkeys(("average_precision", "auroc"), f"no test example is {lacking}")}
