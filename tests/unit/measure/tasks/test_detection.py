"""Detection: mAP is pycocotools' own, also of resamples, without matching again; roles of outputs; what is no box."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kept_answers import kept, measured

from makeweight.config.settings import TaskSettings
from makeweight.measure.bootstrap import draws
from makeweight.measure.precision import Matches
from makeweight.measure.tasks.table import TASKS
from makeweight.measure.tasks.task import Asked
from makeweight_base.errors import UsageError
from makeweight_base.quiet import quiet

TASK = TaskSettings(kind="detection")
RNG = np.random.default_rng(11)
IMAGES, CLASSES, SLOTS = 25, 3, 9


def _box(rng: np.random.Generator) -> np.ndarray:
    corner, size = rng.uniform(0, 60, 2), rng.uniform(5, 40, 2)
    return np.concatenate([corner, corner + size])


def invented(seed: int, *, crowd: bool = False) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """A detector's answers near the truth, with misses, doubles, inventions, equal scores, filling; and the truth."""
    rng = np.random.default_rng(seed)
    targets = np.empty(IMAGES, dtype=object)
    boxes, scores, labels = np.zeros((IMAGES, SLOTS, 4)), np.zeros((IMAGES, SLOTS)), np.full((IMAGES, SLOTS), -1)
    for image in range(IMAGES):
        truth = np.array([_box(rng) for _ in range(rng.integers(0, 5))]).reshape(-1, 4)
        classes = rng.integers(0, CLASSES, len(truth))
        targets[image] = {"boxes": truth, "labels": classes}
        if crowd and len(truth):
            targets[image]["iscrowd"] = rng.random(len(truth)) < 0.3
        found = [(box + rng.normal(0, 3, 4), label) for box, label in zip(truth, classes, strict=True)]
        found += [(box + rng.normal(0, 6, 4), label) for box, label in found if rng.random() < 0.4]
        found += [(_box(rng), rng.integers(0, CLASSES)) for _ in range(rng.integers(0, 3))]
        for slot, (box, label) in enumerate(found[:SLOTS]):
            boxes[image, slot], labels[image, slot] = box, label
            scores[image, slot] = rng.integers(1, 20) / 20
    return {"boxes": boxes, "scores": scores, "labels": labels}, targets


def coco(outputs: Mapping[str, np.ndarray], targets: Sequence[Any], images: Sequence[int]) -> tuple[float, float]:
    """mAP and mAP at 0.5 as pycocotools computes them from the beginning, of images that may come several times."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for place, image in enumerate(images):
        wanted = targets[image]
        crowds = wanted.get("iscrowd", np.zeros(len(wanted["labels"])))
        for (x1, y1, x2, y2), label, crowd in zip(wanted["boxes"], wanted["labels"], crowds, strict=True):
            box = [x1, y1, x2 - x1, y2 - y1]
            about = {"id": len(truth) + 1, "image_id": place, "category_id": int(label), "iscrowd": int(crowd)}
            truth.append({**about, "bbox": box, "area": box[2] * box[3]})
        for (x1, y1, x2, y2), score, label in zip(
            *(outputs[n][image] for n in ("boxes", "scores", "labels")), strict=True
        ):
            if label >= 0:
                box = [x1, y1, max(x2 - x1, 0), max(y2 - y1, 0)]
                found.append({"image_id": place, "category_id": int(label), "bbox": box, "score": float(score)})
    with quiet():
        true = COCO()
        ids = [{"id": i} for i in range(CLASSES)]
        true.dataset = {"images": [{"id": i} for i in range(len(images))], "categories": ids, "annotations": truth}
        true.createIndex()
        judged = COCOeval(true, true.loadRes(found), "bbox")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    return float(judged.stats[0]), float(judged.stats[1])


@pytest.mark.parametrize("crowd", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_the_figure_is_that_of_pycocotools(seed: int, crowd: bool) -> None:
    outputs, targets = invented(seed, crowd=crowd)
    found = measured(TASK, kept(TASK, outputs, targets))
    assert (found["map"].value, found["map_50"].value) == pytest.approx(
        coco(outputs, targets, range(IMAGES)), abs=1e-12
    )


@pytest.mark.parametrize("crowd", [False, True])
def test_a_resample_is_what_pycocotools_makes_of_the_pictures_drawn(crowd: bool) -> None:
    """Matched anew there, and never here. Equal scores, whose order means nothing, would stand in another there."""
    outputs, targets = invented(7, crowd=crowd)
    outputs["scores"] = outputs["scores"] + np.arange(IMAGES * SLOTS).reshape(IMAGES, SLOTS) * 1e-6
    own = kept(TASK, outputs, targets)
    weights = next(draws(IMAGES))[:4]
    by_class = Matches(**own.kept, examples=IMAGES).average_precisions(weights)
    for row, figures in zip(weights, by_class, strict=True):
        there = figures[np.isfinite(figures[:, 0])]
        drawn = np.repeat(np.arange(IMAGES), row.astype(int))
        assert (there.mean(), there[:, 0].mean()) == pytest.approx(coco(outputs, targets, drawn), abs=1e-12)


def test_the_drop_is_paired_and_a_model_beside_itself_drops_by_nothing() -> None:
    outputs, targets = invented(1)
    worse = {**outputs, "boxes": outputs["boxes"] + np.random.default_rng(0).normal(0, 3, outputs["boxes"].shape)}
    base, own = kept(TASK, outputs, targets), kept(TASK, worse, targets)
    same, less = measured(TASK, base, base)["map_drop"], measured(TASK, own, base)["map_drop"]
    assert (same.value, same.interval) == (0.0, (0.0, 0.0))
    low, high = less.interval or (0, 0)
    assert 0 < low < (less.value or 0) < high
    before, after = (coco(each, targets, range(IMAGES))[0] for each in (outputs, worse))
    assert less.value == pytest.approx(before - after)


def test_how_batches_are_cut_changes_nothing() -> None:
    outputs, targets = invented(2)
    at_once, singly = (kept(TASK, outputs, targets, batch=size) for size in (IMAGES, 1))
    assert measured(TASK, at_once)["map"] == measured(TASK, singly)["map"]


@pytest.mark.parametrize("form", ["xyxy", "xywh", "cxcywh"])
def test_boxes_come_in_three_formats(form: Any) -> None:
    outputs, targets = invented(3)
    task = TaskSettings(kind="detection", box_format=form)

    def written(boxes: np.ndarray) -> np.ndarray:
        first, last = boxes[..., :2], boxes[..., 2:]
        begin = (first + last) / 2 if form == "cxcywh" else first
        return boxes if form == "xyxy" else np.concatenate([begin, last - first], axis=-1)

    told = np.array([{**each, "boxes": written(each["boxes"])} for each in targets], dtype=object)
    found = measured(task, kept(task, {**outputs, "boxes": written(outputs["boxes"])}, told))
    assert found["map"].value == pytest.approx(measured(TASK, kept(TASK, outputs, targets))["map"].value)


def test_outputs_have_roles() -> None:
    outputs, targets = invented(4)
    expected = measured(TASK, kept(TASK, outputs, targets))["map"].value
    count = (outputs["labels"] >= 0).sum(axis=1, keepdims=True)
    full = np.where(outputs["labels"] < 0, 1, outputs["labels"])
    rows = np.concatenate([outputs["boxes"], outputs["scores"][..., None], outputs["labels"][..., None]], axis=-1)
    forms: list[tuple[dict[str, str], dict[str, np.ndarray]]] = [
        (
            {"boxes": "b", "scores": "s", "labels": "l"},
            {"b": outputs["boxes"], "s": outputs["scores"], "l": outputs["labels"]},
        ),
        ({"count": "n"}, {**outputs, "labels": full, "n": count}),
        ({"detections": "output0"}, {"output0": rows}),
        # what fills up is zeros
        ({}, {**outputs, "labels": np.maximum(outputs["labels"], 0)}),
    ]
    for roles, answers in forms:
        task = TaskSettings(kind="detection", outputs=roles or None)  # type: ignore[arg-type]
        assert measured(task, kept(task, answers, targets))["map"].value == pytest.approx(expected), roles


def test_of_one_picture_the_outputs_may_come_without_the_batch() -> None:
    outputs, targets = invented(5)
    keeper = TASKS["detection"].keeper(_asked(TASK))
    for image in range(IMAGES):
        there = outputs["labels"][image] >= 0
        keeper.add({name: values[image][there] for name, values in outputs.items()}, targets[image : image + 1])
    at_once = kept(TASK, outputs, targets)
    singly = replace(at_once, kept=keeper.kept().arrays)
    assert measured(TASK, singly)["map"] == measured(TASK, at_once)["map"]


def test_targets_may_be_one_array_filled_up() -> None:
    outputs, targets = invented(6)
    filled = np.full((IMAGES, 6, 5), -1.0)
    for image, each in enumerate(targets):
        filled[image, : len(each["labels"])] = np.column_stack([each["boxes"], each["labels"]])
    assert measured(TASK, kept(TASK, outputs, filled))["map"] == measured(TASK, kept(TASK, outputs, targets))["map"]


def decode(outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """A head of [batch, 4 + classes, places], of centres and sizes, as YOLO's are."""
    answers = []
    for raw in outputs["head"]:
        centre, size, scores = raw[:2].T, raw[2:4].T, raw[4:].T
        boxes = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
        label = scores.argmax(axis=1)
        sure = scores.max(axis=1) > 0.01
        answers.append({"boxes": boxes[sure], "scores": scores.max(axis=1)[sure], "labels": label[sure]})
    return answers


def test_a_raw_head_is_decoded_by_the_user() -> None:
    outputs, targets = invented(8)
    boxes = outputs["boxes"]
    centre, size = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    scores = np.eye(CLASSES)[np.maximum(outputs["labels"], 0)] * outputs["scores"][..., None]
    head = np.moveaxis(np.concatenate([centre, size, scores], axis=-1), 1, 2)
    task = TaskSettings(kind="detection", outputs="test_detection:decode")
    found = measured(task, kept(task, {"head": head}, targets))["map"].value
    assert found == pytest.approx(measured(TASK, kept(TASK, outputs, targets))["map"].value)


def nothing(outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    return [{"boxes": [], "scores": [], "labels": []} for _ in outputs["boxes"]]


def too_few(outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    return nothing(outputs)[:-1]


def unnamed(outputs: Mapping[str, np.ndarray]) -> list[Any]:
    return [[] for _ in outputs["boxes"]]


def test_a_detector_that_finds_nothing_has_a_figure_and_it_is_zero() -> None:
    outputs, targets = invented(9)
    task = TaskSettings(kind="detection", outputs="test_detection:nothing")
    assert measured(task, kept(task, outputs, targets))["map"].value == 0.0


@pytest.mark.parametrize(
    ("decoder", "said"),
    [("too_few", "gave no list of 7 answers, one an example"), ("unnamed", "gave list for an example")],
)
def test_a_decoder_that_gives_something_else_is_told(decoder: str, said: str) -> None:
    task = TaskSettings(kind="detection", outputs=f"test_detection:{decoder}")
    with pytest.raises(UsageError, match=said):
        kept(task, *invented(9))


def test_a_box_that_is_no_number_is_no_box_and_its_picture_not_finite() -> None:
    outputs, targets = invented(10)
    image = int(np.flatnonzero(outputs["labels"][:, 1] >= 0)[0])
    for name, place in (("boxes", (image, 0, 2)), ("scores", (image, 1)), ("labels", (image, 1))):
        broken = {**outputs, name: outputs[name].astype(float)}
        broken[name][place] = np.nan
        own = kept(TASK, broken, targets)
        assert np.flatnonzero(~own.finite).tolist() == [image], name
        without = {**outputs, "labels": outputs["labels"].copy()}
        without["labels"][image, place[1]] = -1
        assert measured(TASK, own)["map"].value == pytest.approx(coco(without, targets, range(IMAGES))[0])


def test_a_predicted_box_turned_over_finds_nothing() -> None:
    outputs, targets = invented(12)
    turned = {**outputs, "boxes": outputs["boxes"][..., [2, 3, 0, 1]]}
    assert measured(TASK, kept(TASK, turned, targets))["map"].value == 0.0


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (
            {"boxes": [[5, 5, 4, 9]], "labels": [0]},
            r"the target of example 3 has a box that is none: corners \(5, 5, 4, 9\)",
        ),
        ({"boxes": [[5, 5, 5, 9]], "labels": [0]}, "x2 is beyond x1"),
        ({"boxes": [[5, 5, np.nan, 9]], "labels": [0]}, "a box that is none"),
        ({"boxes": [[-9, 5, 0, 9]], "labels": [0]}, r"no picture shows any of: corners \(-9, 5, 0, 9\) end before 0"),
        ({"boxes": [[1, 1, 4, 9]], "labels": [-1]}, "labels begin at 0"),
        ({"boxes": [[1, 1, 4, 9]], "labels": [0.5]}, "labels that are no class indices"),
        ({"boxes": [[1, 1, 4, 9]], "labels": [0, 1]}, r"boxes of shape \[1, 4\] and labels of \[2\]"),
        ({"boxes": [[1, 1, 4]], "labels": [0]}, r"boxes of shape \[1, 3\]"),
        ({"boxes": [[1, 1, 4, 9]]}, "has no labels; it has boxes"),
        ({"boxes": [[1, 1, 4, 9]], "labels": ["cat"]}, "labels cannot be made an array"),
        (3, "the target of example 3 is int, not boxes with their labels"),
    ],
)
def test_a_target_that_is_no_box_is_told(target: Any, said: str) -> None:
    outputs, targets = invented(0)
    targets[3] = target
    with pytest.raises(UsageError, match=said):
        kept(TASK, outputs, targets)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda outputs: {"output0": outputs["boxes"]},
            "needs the boxes, and the model has no output `boxes`; it has output0",
        ),
        (lambda outputs: {**outputs, "boxes": outputs["boxes"][..., :3]}, r"boxes are \[examples, boxes, 4\]"),
        (
            lambda outputs: {**outputs, "scores": outputs["scores"][:, :2]},
            r"of different numbers of boxes: boxes \[7, 9, 4\], scores \[7, 2\]",
        ),
    ],
    ids=["other names", "three numbers a box", "fewer scores than boxes"],
)
def test_outputs_that_fit_no_role_are_told(change: Any, said: str) -> None:
    outputs, targets = invented(0)
    with pytest.raises(UsageError, match=said):
        kept(TASK, change(outputs), targets)


def test_labels_beyond_the_named_classes_and_a_split_without_objects_are_told() -> None:
    outputs, targets = invented(0)
    named = TaskSettings(kind="detection", classes=["cat", "dog"])
    with pytest.raises(UsageError, match="a target has the label 2, and 2 classes are named"):
        kept(named, outputs, targets)
    for each in targets:
        each.update(boxes=np.zeros((0, 4)), labels=np.zeros(0))
    own = kept(TASK, outputs, targets)
    with pytest.raises(UsageError, match="no target holds an object"):
        TASKS["detection"].check(TASK, own)
    assert measured(TASK, own)["map"].reason == "no target holds an object"


def _asked(task: TaskSettings) -> Any:
    return Asked(task, None, Path())
