"""Detection: boxes with a class and a score each. Matched once, by COCO's own code; COCO's mAP from the matches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from makeweight.config.settings import TaskSettings
from makeweight.measure import overlap
from makeweight.measure.bootstrap import Statistic, Weights, whole
from makeweight.measure.outcomes import Outcomes
from makeweight.measure.precision import THRESHOLDS, Matches
from makeweight.measure.tasks.boxes import Boxes, of_outputs, of_target
from makeweight.measure.tasks.task import Asked, ByClass, Figures, Gathered, Kept, Outputs, class_name
from makeweight.measure.tasks.whole_set import WholeSet
from makeweight_base.errors import UsageError
from makeweight_base.quiet import quiet

_REASONS = dict.fromkeys(("map", "map_50", "worst_class_ap"), "no target holds an object")
# COCO's limit on an example's detections of one class.
_MOST = 100


class _Keeper:
    """Of detections, flat: `example`, `label`, `score`, `found`, `passed_over`; of objects `object_example` and
    `object_label`: see `precision.Matches`."""

    def __init__(self, asked: Asked) -> None:
        self._asked, self._gathered, self._examples = asked, Gathered(), 0

    def add(self, outputs: Outputs, targets: NDArray[Any]) -> NDArray[np.bool_]:
        task, first = self._asked.task, self._examples
        wanted = [of_target(each, first + index, task.box_format) for index, each in enumerate(targets)]
        given, finite = of_outputs(outputs, len(wanted), task, self._asked.root)
        _refuse_unnamed(task, wanted)
        self._gathered.add(**_matched(wanted, given, first))
        self._examples += len(wanted)
        return finite

    def kept(self) -> Kept:
        return Kept(self._gathered.all())


class Detection:
    keeper = _Keeper
    class_figure: ClassVar[str | None] = "average precision"

    def figures(self, task: TaskSettings, variant: str, own: Outcomes, baseline: Outcomes | None) -> Figures:
        made = WholeSet(_statistic, lambda _: _REASONS, partial(_names, task), _some)
        return made.figures(variant, own, baseline)

    def by_class(self, task: TaskSettings, outcomes: Outcomes) -> ByClass:
        matches = _matches(outcomes)
        values = matches.average_precisions(whole(len(outcomes)))[0].mean(axis=-1)
        pairs = np.unique(np.stack([matches.object_label, matches.object_example]), axis=1)
        return ByClass(_names(task, outcomes), np.unique(pairs[0], return_counts=True)[1], values)

    def check(self, task: TaskSettings, outcomes: Outcomes) -> None:
        del task
        if len(outcomes.kept["object_label"]) == 0:
            raise UsageError(
                "no target holds an object, so there is nothing to find",
                where="the test split",
                do="Return for each example a target {boxes, labels}.",
            )


def _matches(outcomes: Outcomes) -> Matches:
    return Matches(**outcomes.kept, examples=len(outcomes))


def _statistic(outcomes: Outcomes) -> Statistic:
    matches = _matches(outcomes)

    def statistic(weights: Weights) -> dict[str, NDArray[np.float64]]:
        found = matches.average_precisions(weights)
        by_threshold = overlap.mean(np.moveaxis(found, 1, -1))
        of_class = found.mean(axis=-1) if len(matches.classes) else np.full(len(weights), np.nan)
        return {"map": by_threshold.mean(axis=1), "map_50": by_threshold[:, 0], "worst_class_ap": of_class}

    return statistic


def _names(task: TaskSettings, outcomes: Outcomes) -> list[str]:
    """Of the classes that have an object."""
    return [class_name(task, int(label)) for label in _matches(outcomes).classes]


def _some(outcomes: Outcomes, members: NDArray[np.bool_]) -> Outcomes:
    """Detections and objects have a row each, and say by number of which example they are."""
    number, kept = np.cumsum(members) - 1, {}
    for name, values in outcomes.kept.items():
        of = outcomes.kept["object_example" if name.startswith("object") else "example"]
        own = values[members[of]]
        kept[name] = number[own] if name in ("example", "object_example") else own
    return replace(outcomes, kept=kept, finite=outcomes.finite[members], slices=None)


def _refuse_unnamed(task: TaskSettings, wanted: list[Boxes]) -> None:
    highest = max((int(each.labels.max()) for each in wanted if len(each.labels)), default=-1)
    if task.classes is not None and highest >= len(task.classes):
        raise UsageError(
            f"a target has the label {highest}, and {len(task.classes)} classes are named (0 to "
            f"{len(task.classes) - 1})",
            do="Name every class in `task.classes`, in the order of the labels, or mend the targets.",
        )


def _matched(wanted: list[Boxes], given: list[Boxes], first: int) -> dict[str, NDArray[Any]]:
    """What was found of what there is; examples are numbered from `first`.

    pycocotools 2.0 is COCO's own evaluation, https://github.com/cocodataset/cocoapi
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise UsageError(
            "a detection is judged by COCO's own code, which is not installed",
            where="makeweight.yaml: task",
            do="Install it: pip install 'makeweight[detection]'.",
        ) from error
    labels = sorted({int(label) for each in (*wanted, *given) for label in each.labels})
    about = {"images": [{"id": i} for i in range(len(wanted))], "categories": [{"id": label} for label in labels]}
    with quiet():
        truth, answers = COCO(), COCO()
        truth.dataset, answers.dataset = ({**about, "annotations": _annotations(boxes)} for boxes in (wanted, given))
        truth.createIndex()
        answers.createIndex()
        judged = COCOeval(truth, answers, "bbox")
        judged.params.areaRng, judged.params.areaRngLbl, judged.params.maxDets = [[0, 1e10]], ["all"], [_MOST]
        judged.params.iouThrs = THRESHOLDS
        judged.evaluate()
    bits = (1 << np.arange(len(THRESHOLDS))).astype(np.uint16)[:, None]
    found = Gathered()
    found.add(**{name: np.zeros(0, dtype) for name, dtype in _KEPT.items()})
    for pair in judged.evalImgs:
        if pair is None:
            continue
        example, label, score = first + int(pair["image_id"]), int(pair["category_id"]), pair["dtScores"]
        passed_over = np.asarray(pair["dtIgnore"], dtype=bool).reshape(len(THRESHOLDS), -1)
        matched = np.asarray(pair["dtMatches"]).reshape(len(THRESHOLDS), -1) > 0
        objects = int(np.count_nonzero(np.asarray(pair["gtIgnore"]) == 0))
        found.add(
            example=np.full(len(score), example),
            label=np.full(len(score), label),
            score=np.asarray(score, dtype=np.float64),
            found=((matched & ~passed_over) * bits).sum(axis=0, dtype=np.uint16),
            passed_over=(passed_over * bits).sum(axis=0, dtype=np.uint16),
            object_example=np.full(objects, example),
            object_label=np.full(objects, label),
        )
    return found.all()


_KEPT = {
    "example": np.int64,
    "label": np.int64,
    "score": np.float64,
    "found": np.uint16,
    "passed_over": np.uint16,
    "object_example": np.int64,
    "object_label": np.int64,
}


def _annotations(boxes: list[Boxes]) -> list[Mapping[str, Any]]:
    """In COCO's own form; ids begin with 1, since 0 stands for no match there."""
    listed: list[Mapping[str, Any]] = []
    for image, each in enumerate(boxes):
        for index in range(len(each.labels)):
            left, top, right, bottom = (float(end) for end in each.corners[index])
            width, height = max(right - left, 0.0), max(bottom - top, 0.0)
            listed.append(
                {
                    "id": len(listed) + 1,
                    "image_id": image,
                    "category_id": int(each.labels[index]),
                    "bbox": [left, top, width, height],
                    "area": width * height,
                    "iscrowd": int(each.crowd[index]),
                    "score": float(each.scores[index]),
                }
            )
    return listed
