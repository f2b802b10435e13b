"""Of every task: a slice is judged as if it were the whole set, and the worst class is named with its own figure."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from kept_answers import kept
from test_detection import IMAGES, invented

from makeweight.config.settings import TaskSettings
from makeweight.measure import quality
from makeweight.measure.outcomes import Outcomes
from makeweight.measure.tasks.table import TASKS
from makeweight.measurement import Measurement

RNG = np.random.default_rng(5)
LABELS = (RNG.random((30, 3)) < [0.5, 0.3, 0.6]).astype(np.int64)
PLACES = RNG.integers(0, 3, (30, 4, 5))
NUMBERS = RNG.normal(size=(30, 2))
NOISE: dict[str, Any] = {
    "multilabel": (LABELS - 0.5, LABELS),
    "segmentation": (np.moveaxis(np.eye(3)[PLACES], -1, 1), PLACES),
    "regression": (NUMBERS, NUMBERS),
}
WORST = {"multilabel": "worst_label_f1", "segmentation": "worst_class_iou", "detection": "worst_class_ap"}


def answered(kind: str, noise: float, members: Any = slice(None)) -> Outcomes:
    """A model's answers, farther from the truth with more noise; to some examples alone."""
    rng, task = np.random.default_rng(9), TaskSettings(kind=kind)  # type: ignore[arg-type]
    if kind == "detection":
        outputs, targets = invented(1)
        boxes = outputs["boxes"] + rng.normal(0, 4 * noise + 1e-9, outputs["boxes"].shape)
        given = {**outputs, "boxes": boxes}
    else:
        scores, targets = NOISE[kind]
        given = {"y": scores + rng.normal(0, noise + 0.1, scores.shape)}
    return kept(task, {name: values[members] for name, values in given.items()}, targets[members])


def measured(kind: str, own: Outcomes, baseline: Outcomes | None = None) -> dict[str, Measurement]:
    task = TaskSettings(kind=kind)  # type: ignore[arg-type]
    return {each.measurand.name: each for each in quality.measure(task, "int8", own, baseline)}


@pytest.mark.parametrize("kind", ["multilabel", "segmentation", "regression", "detection"])
def test_a_slice_has_the_figures_that_its_examples_have_alone(kind: str) -> None:
    count = IMAGES if kind == "detection" else 30
    night = np.arange(count) % 3 == 1
    slices = np.where(night, "night", "").astype(np.str_)
    own, base = (replace(answered(kind, noise), slices=slices) for noise in (0.8, 0.2))
    found = measured(kind, own, base)
    there = {name: each for name, each in found.items() if each.slice == "night"}
    expected = measured(kind, *(answered(kind, noise, night) for noise in (0.8, 0.2)))
    assert {name.removesuffix("[night]") for name in there} == {
        name for name in expected if name != "nonfinite_outputs" and not name.startswith("worst")
    }
    for name, each in there.items():
        as_a_whole = expected[name.removesuffix("[night]")]
        assert (each.value, each.samples) == (pytest.approx(as_a_whole.value, abs=1e-12), night.sum()), name
        assert each.interval == pytest.approx(as_a_whole.interval), name
        assert "slice of the test split" in each.method


@pytest.mark.parametrize("kind", WORST)
def test_the_worst_class_is_the_lowest_of_the_table_and_the_drop_that_of_the_one_that_fell_most(kind: str) -> None:
    task = TaskSettings(kind=kind, classes=["a", "b", "c"])  # type: ignore[arg-type]
    own, base = answered(kind, 0.9), answered(kind, 0.2)
    found = {each.measurand.name: each for each in quality.measure(task, "int8", own, base)}
    after, before = (TASKS[task.kind].by_class(task, each) for each in (own, base))
    assert after is not None
    assert before is not None
    assert list(after.names) == ["a", "b", "c"]
    worst, dropped = found[WORST[kind]], found[f"{WORST[kind]}_drop"]
    assert (worst.value, worst.detail) == (pytest.approx(after.values.min()), "abc"[int(after.values.argmin())])
    drops = before.values - after.values
    assert (dropped.value, dropped.detail) == (pytest.approx(drops.max()), "abc"[int(drops.argmax())])
    low, high = dropped.interval or (1, 0)
    assert low < (dropped.value or 0) < high


def test_the_table_of_classes_is_counted_by_hand() -> None:
    labels = TaskSettings(kind="multilabel")
    scores = np.array([[0.9, 0.1, 0.2], [0.8, 0.7, 0.1], [0.2, 0.6, 0.3]])
    table = TASKS["multilabel"].by_class(
        labels, kept(labels, {"y": scores}, np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0]]))
    )
    assert table is not None
    assert (list(table.names), table.examples.tolist()) == (["0", "1"], [2, 2]), "the third is nobody's"
    assert table.values.tolist() == pytest.approx([2 * 1 / (2 + 2), 2 * 2 / (2 + 2)])
    places = TaskSettings(kind="segmentation")
    answer = np.moveaxis(np.eye(2)[np.array([[[0, 0, 1, 1]], [[0, 0, 0, 0]]])], -1, 1)
    table = TASKS["segmentation"].by_class(
        places, kept(places, {"y": answer}, np.array([[[0, 0, 0, 1]], [[0, 0, 0, 0]]]))
    )
    assert table is not None
    assert (table.examples.tolist(), table.values.tolist()) == ([2, 1], pytest.approx([6 / 7, 1 / 2]))


def test_a_model_beside_itself_has_no_class_that_fell() -> None:
    own = answered("segmentation", 0.5)
    dropped = measured("segmentation", own, own)["worst_class_iou_drop"]
    assert (dropped.value, dropped.interval, dropped.detail) == (0, (0, 0), None)


def test_a_slice_without_objects_is_unavailable() -> None:
    outputs, targets = invented(1)
    targets[0] = {"boxes": np.zeros((0, 4)), "labels": np.zeros(0)}
    task = TaskSettings(kind="detection")
    slices = np.array(["empty", *[""] * (IMAGES - 1)])
    own = replace(kept(task, outputs, targets), slices=slices)
    found = measured("detection", own, own)
    assert (found["map[empty]"].status, found["map[empty]"].reason) == ("unavailable", "no target holds an object")
    assert found["map_drop[empty]"].status == "unavailable"
