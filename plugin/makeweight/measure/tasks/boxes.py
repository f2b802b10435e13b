"""Boxes, as a target has them and as a model's outputs do: made corners (x1, y1, x2, y2), and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.config.settings import BOX_ROLES, BoxFormat, BoxRole, TaskSettings
from makeweight.measure.tasks.task import Outputs
from makeweight.user import callables
from makeweight_base.errors import UsageError

_TARGET = "Return for each example a target {boxes: [objects, 4], labels: [objects]}."
_FORMAT = "Mend the loader, or say in `task.box_format` what the four numbers are: xyxy, xywh or cxcywh."
_DECODED = "Return for each example of the batch {boxes: [k, 4], scores: [k], labels: [k]}."


@dataclass(frozen=True)
class Boxes:
    """Those of one example. `corners`: shape [boxes, 4]; `labels`, `scores` and `crowd`: shape [boxes]."""

    corners: NDArray[np.float64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    """Of a target: whether it stands for a group, in which any number of detections counts neither way."""


def of_target(given: Any, number: int, form: BoxFormat) -> Boxes:
    """The objects of one example: {boxes, labels} and, if need be, {iscrowd}; or rows (box, label), of which those
    with a negative label are filling.

    Raises:
        UsageError: it is none, or a box is no box.
    """
    what = f"the target of example {number}"
    if not isinstance(given, Mapping):
        rows = np.asarray(given, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != 5:
            raise UsageError(f"{what} is {type(given).__name__}, not boxes with their labels", do=_TARGET)
        rows = rows[rows[:, 4] >= 0]
        given = {"boxes": rows[:, :4], "labels": rows[:, 4]}
    found = _boxes({part: values for part, values in given.items() if part != "scores"}, what, form, _TARGET)
    wide = (found.corners[:, 2:] > found.corners[:, :2]).all(axis=1) & np.isfinite(found.corners).all(axis=1)
    flat = np.flatnonzero(~(wide & (found.labels >= 0) & np.isfinite(found.scores)))
    if len(flat):
        box = ", ".join(f"{end:g}" for end in found.corners[flat[0]])
        raise UsageError(
            f"{what} has a box that is none: corners ({box}) with label {found.labels[flat[0]]}; x2 is beyond x1, y2 "
            "beyond y1, and labels begin at 0",
            do=_FORMAT,
        )
    beyond = np.flatnonzero((found.corners[:, 2:] <= 0).any(axis=1))
    if len(beyond):
        box = ", ".join(f"{end:g}" for end in found.corners[beyond[0]])
        raise UsageError(
            f"{what} has a box that no picture shows any of: corners ({box}) end before 0",
            do=_FORMAT,
        )
    return found


def of_outputs(
    outputs: Outputs, examples: int, task: TaskSettings, root: Path
) -> tuple[list[Boxes], NDArray[np.bool_]]:
    """What a model detects in each example, and whether all numbers of that are finite.

    Raises:
        UsageError: an output is not there or has another shape, or the user's `task.outputs` fails.
    """
    if isinstance(task.outputs, str):
        where = f"`task.outputs`, {task.outputs},"
        function = callables.find(task.outputs, root, where="makeweight.yaml: task.outputs")
        decoded = callables.call(function, dict(outputs), name=task.outputs, root=root)
        if not isinstance(decoded, Sequence) or len(decoded) != examples:
            raise UsageError(f"{where} gave no list of {examples} answers, one an example", do=_DECODED)
        found = [_boxes(_mapping(each, where), where, task.box_format, _DECODED, "scores") for each in decoded]
    else:
        found = [
            _boxes(each, "the model's answer", task.box_format, "Mend `task.outputs`.")
            for each in _by_role(outputs, examples, dict(task.outputs or {}))
        ]
    finite = [np.isfinite(each.corners).all(axis=1) & np.isfinite(each.scores) for each in found]
    kept = [_some(each, which) for each, which in zip(found, finite, strict=True)]
    return kept, np.array([bool(each.all()) for each in finite], dtype=bool)


def _mapping(given: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise UsageError(f"{what} gave {type(given).__name__} for an example", do=_DECODED)
    return given


def _by_role(outputs: Outputs, examples: int, roles: Mapping[BoxRole, str]) -> list[dict[str, Any]]:
    """Boxes, scores and labels by example, without the filling."""
    if "detections" in roles:
        rows = _batched(outputs, roles, "detections", examples, 3)
        parts: dict[Any, NDArray[Any]] = {"boxes": rows[..., :4], "scores": rows[..., 4], "labels": rows[..., 5]}
    else:
        single: tuple[BoxRole, ...] = ("boxes", "scores", "labels")
        parts = {role: _batched(outputs, roles, role, examples, 3 if role == "boxes" else 2) for role in single}
    shapes = {values.shape[:2] for values in parts.values()}
    if len(shapes) > 1:
        told = ", ".join(f"{role} {list(values.shape)}" for role, values in parts.items())
        raise UsageError(
            f"the outputs are of different numbers of boxes: {told}", where="makeweight.yaml: task.outputs"
        )
    there = ~(parts["labels"] < 0)
    if "count" in roles:
        count = _batched(outputs, roles, "count", examples, 1)
        there &= np.arange(there.shape[1]) < count[:, None]
    # a row of zeros fills up; with a box or a score it is an answer, however wrong
    there &= (parts["scores"] != 0) | (parts["boxes"] != 0).any(axis=-1)
    return [{role: values[index][there[index]] for role, values in parts.items()} for index in range(examples)]


def _batched(
    outputs: Outputs, roles: Mapping[BoxRole, str], role: BoxRole, examples: int, dimensions: int
) -> NDArray[Any]:
    """An output by its role, shape [examples, ...]; of one example it may come without the batch."""
    name = roles.get(role, role)
    if name not in outputs:
        raise UsageError(
            f"a detection needs the {role}, and the model has no output `{name}`; it has {', '.join(outputs)}",
            where="makeweight.yaml: task.outputs",
            do=f"Say which output is what by the roles {', '.join(BOX_ROLES)}, or give a module:callable that decodes.",
        )
    values = np.asarray(outputs[name])
    if values.ndim == dimensions - 1 and examples == 1:
        values = values[None]
    if values.ndim == dimensions + 1 and values.shape[-1] == 1:
        values = values[..., 0]
    last = {"boxes": 4, "detections": 6}.get(role)
    if values.ndim != dimensions or len(values) != examples or last not in (None, values.shape[-1]):
        wanted = ", ".join(["examples", "boxes", str(last)][:dimensions])
        raise UsageError(
            f"the output `{name}` has shape {list(values.shape)} for {examples} examples, and {role} are [{wanted}]",
            where="makeweight.yaml: task.outputs",
            do="Say which output is what, or give a module:callable that decodes them.",
        )
    return values


def _boxes(given: Mapping[str, Any], what: str, form: BoxFormat, do: str, *more: str) -> Boxes:
    """Checked; `more`: what it must have besides boxes and labels."""
    for part in ("boxes", "labels", *more):
        if part not in given:
            raise UsageError(f"{what} has no {part}; it has {', '.join(map(str, given)) or 'nothing'}", do=do)
    boxes, labels = (_numbers(given[part], f"{what}: {part}", do) for part in ("boxes", "labels"))
    boxes = boxes.reshape(0, 4) if boxes.size == 0 else boxes
    number = len(labels) if labels.ndim == 1 else -1
    if boxes.shape != (number, 4):
        raise UsageError(f"{what} has boxes of shape {list(boxes.shape)} and labels of {list(labels.shape)}", do=do)
    scores, crowd = (
        _numbers(given.get(part, otherwise), f"{what}: {part}", do)
        for part, otherwise in (("scores", np.ones(number)), ("iscrowd", np.zeros(number)))
    )
    for part, values in (("scores", scores), ("iscrowd", crowd)):
        if values.shape != (number,):
            raise UsageError(f"{what} has {number} boxes and {part} of shape {list(values.shape)}", do=do)
    known = np.isfinite(labels)
    if not (labels == np.round(labels))[known].all():
        raise UsageError(f"{what} has labels that are no class indices", do=do)
    # a label that is no number makes the whole box none
    scores, labels = np.where(known, scores, np.nan), np.where(known, labels, 0)
    return Boxes(_corners(boxes, form), labels.astype(np.int64), scores, crowd.astype(bool))


def _numbers(given: Any, what: str, do: str) -> NDArray[np.float64]:
    try:
        return np.asarray(given, dtype=np.float64)
    except (ValueError, TypeError, RuntimeError) as error:
        raise UsageError(f"{what} cannot be made an array: {error}", do=do) from error


def _corners(boxes: NDArray[np.float64], form: BoxFormat) -> NDArray[np.float64]:
    first, second = boxes[:, :2], boxes[:, 2:]
    if form == "xywh":
        return np.concatenate([first, first + second], axis=1)
    if form == "cxcywh":
        return np.concatenate([first - second / 2, first + second / 2], axis=1)
    return boxes


def _some(boxes: Boxes, which: NDArray[np.bool_]) -> Boxes:
    return Boxes(boxes.corners[which], boxes.labels[which], boxes.scores[which], boxes.crowd[which])
