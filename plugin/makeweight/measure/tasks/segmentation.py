"""Segmentation: a class for each place of an example (a pixel, a voxel, a token). Counted by example and class."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from makeweight.config.settings import TaskSettings
from makeweight.measure import overlap
from makeweight.measure.bootstrap import Statistic, Weights, whole
from makeweight.measure.outcomes import WRONG, Outcomes, ScoreKind
from makeweight.measure.tasks.readings import Readings, least_given, probable
from makeweight.measure.tasks.task import (
    Asked,
    ByClass,
    Figures,
    Kept,
    Outputs,
    by_class,
    check_classes,
    class_names,
    finite,
)
from makeweight.measure.tasks.whole_set import WholeSet
from makeweight_base.errors import UsageError

_NOTHING = dict.fromkeys(
    ("miou", "worst_class_iou", "pixel_accuracy"),
    "no place of a test example counts: every target is `ignore_index`",
)
Layout = Literal["classes", "two", "first", "last"]
"""Of an answer: class indices; one score for each place, of the second of two classes; or a score for each class, and
whether the classes come before the places or after them."""
_NAME = "Name the output with `model.output`, or mend the targets."


class _Keeper:
    """`places`, shape [examples, 3, classes]: how many places have each class as their target, how many are given it,
    and how many both. Places whose target is `ignore_index` are in none.

    Where examples differ in size, one of as many places as there are classes does not tell by its shape whether the
    classes come first or last. It is counted both ways until another tells; where none does, they come first.
    """

    def __init__(self, asked: Asked) -> None:
        self._asked, self._readings, self._classes, self._examples = asked, Readings(asked.scores), 0, 0
        self._layout: Layout | None = None
        self._last: list[tuple[int, NDArray[np.int64]]] = []
        """Of batches that told nothing: the number of the first example, and its places were the classes last."""

    def add(self, outputs: Outputs, targets: NDArray[Any]) -> NDArray[np.bool_]:
        scores = self._asked.judged(outputs, len(targets))
        layout = layout_of(scores, targets.shape[1:], self._asked.task)
        if layout == "classes":
            self._alone(scores.reshape(len(scores), -1), targets, self._named())
        elif layout == "two":
            self._of_two(scores.reshape(len(scores), -1).astype(np.float64), targets)
        else:
            self._of_many(scores, targets, layout)
        self._examples += len(targets)
        return finite(scores)

    def _named(self) -> int:
        if self._asked.task.classes is None:
            raise UsageError(
                "the model answers with classes, not with scores, so how many there are is not known",
                do="Name them: `task: {kind: segmentation, classes: [...]}`.",
            )
        return len(self._asked.task.classes)

    def _of_two(self, scores: NDArray[np.float64], targets: NDArray[Any]) -> None:
        """One number for each place: of the second of two classes."""
        for kind in self._readings.of(probable(scores), "sigmoid"):
            least = least_given(self._asked.task.threshold, kind)
            self._add(kind, np.where(np.isfinite(scores), scores >= least, WRONG), targets, 2)

    def _of_many(self, scores: NDArray[Any], targets: NDArray[Any], layout: Layout | None) -> None:
        """A score for each class."""
        self._layout = layout or self._layout
        classes = scores.shape[-1 if self._layout == "last" else 1]
        self._alone(_top(scores, self._layout), targets, classes)
        if self._layout is None:
            self._last.append((self._examples, self._counted(_top(scores, "last"), targets, classes)))

    def _alone(self, answers: NDArray[Any], targets: NDArray[Any], classes: int) -> None:
        """Answers that can be read in one way only."""
        for kind in self._readings.of(False, "none"):
            self._add(kind, answers, targets, classes)

    def _add(self, kind: ScoreKind, answers: NDArray[Any], targets: NDArray[Any], classes: int) -> None:
        places = self._counted(answers, targets, classes)
        if self._classes not in (0, classes):
            raise UsageError(f"the model gives {classes} classes, and gave {self._classes} before")
        self._classes = classes
        self._readings.add(kind, places=places)

    def _counted(self, answers: NDArray[Any], targets: NDArray[Any], classes: int) -> NDArray[np.int64]:
        """`places` of these examples."""
        wanted = targets.reshape(len(targets), -1).astype(np.int64)
        ignored = self._asked.task.ignore_index
        counts = np.ones(wanted.shape, bool) if ignored is None else wanted != ignored
        beyond = counts & ((wanted < 0) | (wanted >= classes))
        if beyond.any():
            value = int(wanted[beyond][0])
            raise UsageError(
                f"target {value} is beyond the model's {classes} classes (0 to {classes - 1})",
                do=f"Mend the targets, or, where {value} marks places that do not count, say "
                f"`task: {{kind: segmentation, ignore_index: {value}}}`.",
            )
        given = np.where(np.isfinite(answers), answers, WRONG).astype(np.int64)
        told = counts & (given >= 0) & (given < classes)
        rows = np.arange(len(wanted))[:, None] * classes

        def counted(of: NDArray[np.int64], where: NDArray[np.bool_]) -> NDArray[np.int64]:
            return np.bincount((of + rows)[where], minlength=len(wanted) * classes).reshape(-1, classes)

        return np.stack([counted(wanted, counts), counted(given, told), counted(wanted, told & (given == wanted))], 1)

    def kept(self) -> Kept:
        kind, arrays = self._readings.settled()
        for start, places in self._last if self._layout == "last" else ():
            arrays["places"][start : start + len(places)] = places
        return Kept(arrays, self._classes, kind)


class Segmentation:
    keeper = _Keeper
    class_figure: ClassVar[str | None] = "intersection over union"

    def figures(self, task: TaskSettings, variant: str, own: Outcomes, baseline: Outcomes | None) -> Figures:
        made = WholeSet(_statistic, lambda _: _NOTHING, partial(class_names, task))
        return made.figures(variant, own, baseline)

    def by_class(self, task: TaskSettings, outcomes: Outcomes) -> ByClass:
        of = np.count_nonzero(outcomes.kept["places"][:, 0], axis=0)
        (values,) = _statistic(outcomes)(whole(len(outcomes)))["worst_class_iou"]
        return by_class(task, of, values)

    def check(self, task: TaskSettings, outcomes: Outcomes) -> None:
        check_classes(task, outcomes.classes, outcomes.kept["places"][:, 0].sum(axis=0) > 0)


def _top(scores: NDArray[Any], layout: Layout | None) -> NDArray[np.int64]:
    """The class of each place, shape [examples, places]; `WRONG` where a score of it is no number."""
    axis = scores.ndim - 1 if layout == "last" else 1
    top: NDArray[np.int64] = scores.argmax(axis=axis)
    if scores.dtype.kind == "f":
        top = np.where(np.isfinite(scores.max(axis=axis)) & np.isfinite(scores.min(axis=axis)), top, WRONG)
    return top.reshape(len(scores), -1)


def layout_of(scores: NDArray[Any], shape: tuple[int, ...], task: TaskSettings) -> Layout | None:
    """How scores, shape [examples, ...], lie where the targets of an example have that shape. None: the classes come
    first or last, which as many places as there are classes do not tell.

    Raises:
        UsageError: they do not fit.
    """
    if scores.shape[1:] == shape and (scores.dtype.kind in "iu" or len(task.classes or ()) > 2):
        return "classes"
    if scores.shape[1:] in (shape, (1, *shape), (*shape, 1)):
        return "two"
    first, last = scores.shape[2:] == shape, scores.shape[1:-1] == shape
    if first or last:
        return None if first and last else "first" if first else "last"
    raise UsageError(
        f"the model gives shape {list(scores.shape[1:])} an example, and the targets have {list(shape)}: "
        f"[classes, {', '.join(map(str, shape))}] is wanted",
        do=_NAME + " Where the model answers at another resolution, resize its answer or the targets.",
    )


def _statistic(outcomes: Outcomes) -> Statistic:
    places = outcomes.kept["places"].astype(np.float64)
    _, _, classes = places.shape
    flat = places.reshape(len(places), -1)

    def statistic(weights: Weights) -> dict[str, NDArray[np.float64]]:
        true, given, right = np.moveaxis((weights @ flat).reshape(len(weights), 3, classes), 1, 0)
        all_of = true.sum(axis=1)
        share = np.divide(right.sum(axis=1), all_of, out=np.full(len(weights), np.nan), where=all_of > 0)
        each = overlap.iou(true, given, right)
        return {"miou": overlap.mean(each), "worst_class_iou": each, "pixel_accuracy": share}

    return statistic
