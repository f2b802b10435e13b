"""Segmentation against a double loop over pixels; whatever form scores have, and what does not count."""

from typing import Any

import numpy as np
import pytest
from kept_answers import kept, kept_of, measured

from makeweight.config.settings import TaskSettings
from makeweight.measure.bootstrap import draws
from makeweight.measure.tasks.table import TASKS
from makeweight_base.errors import UsageError

TASK = TaskSettings(kind="segmentation")
VOID = TaskSettings(kind="segmentation", ignore_index=255)
RNG = np.random.default_rng(3)
TARGETS = RNG.integers(0, 4, (12, 5, 6))
SCORES = RNG.normal(size=(12, 4, 5, 6)) + 1.5 * np.moveaxis(np.eye(4)[TARGETS], -1, 1)


def by_pixel(answers: np.ndarray, targets: np.ndarray, void: int | None = None) -> tuple[float, float]:
    """mIoU and pixel accuracy, one pixel after the other."""
    both, either, right, all_of = dict.fromkeys(range(4), 0), dict.fromkeys(range(4), 0), 0, 0
    for given, wanted in zip(answers.ravel().tolist(), targets.ravel().tolist(), strict=True):
        if wanted == void:
            continue
        all_of += 1
        right += given == wanted
        for label in {given, wanted} - {-1}:
            either[label] += 1
        both[wanted] += given == wanted
    present = [label for label in range(4) if (targets == label).any()]
    return sum(both[label] / either[label] for label in present) / len(present), right / all_of


def test_it_is_what_a_loop_over_the_pixels_counts() -> None:
    found = measured(TASK, kept(TASK, {"y": SCORES}, TARGETS))
    miou, accuracy = by_pixel(SCORES.argmax(1), TARGETS)
    assert found["miou"].value == pytest.approx(miou)
    assert found["pixel_accuracy"].value == pytest.approx(accuracy)


@pytest.mark.parametrize("label", [255, -100, 3])
def test_places_that_are_ignored_count_nowhere(label: int) -> None:
    task = TaskSettings(kind="segmentation", ignore_index=label, absent_classes="allow")
    targets = np.where(RNG.random(TARGETS.shape) < 0.3, label, TARGETS)
    found = measured(task, kept(task, {"y": SCORES}, targets))
    miou, accuracy = by_pixel(SCORES.argmax(1), targets, label)
    if label == 3:  # one of the model's own classes: it may be answered, and is no class of the targets
        assert found["pixel_accuracy"].value == pytest.approx(accuracy)
    else:
        assert (found["miou"].value, found["pixel_accuracy"].value) == pytest.approx((miou, accuracy))


def test_a_drop_is_paired_on_the_same_resamples_of_whole_pictures() -> None:
    before, after = SCORES.argmax(1), (SCORES + RNG.normal(size=SCORES.shape)).argmax(1)
    named = TaskSettings(kind="segmentation", classes=["a", "b", "c", "d"])
    found = measured(named, kept(named, {"y": after}, TARGETS), kept(named, {"y": before}, TARGETS))["miou_drop"]
    drops = []
    for weights in next(draws(12)):
        there = np.repeat(np.arange(12), weights.astype(int))
        was, now = (by_pixel(answers[there], TARGETS[there])[0] for answers in (before, after))
        drops.append(was - now)
    assert len(drops) == 1000
    assert found.interval == pytest.approx(np.quantile(drops, [0.025, 0.975]))
    assert found.value == pytest.approx(by_pixel(before, TARGETS)[0] - by_pixel(after, TARGETS)[0])


@pytest.mark.parametrize(
    ("form", "task"),
    [
        (SCORES, TASK),
        (np.moveaxis(SCORES, 1, -1), TASK),
        (SCORES.argmax(1), TaskSettings(kind="segmentation", classes=["a", "b", "c", "d"])),
        (SCORES.astype(np.float16), TASK),
    ],
    ids=["classes first", "classes last", "classes instead of scores", "half precision"],
)
def test_scores_come_in_several_forms(form: Any, task: TaskSettings) -> None:
    assert measured(task, kept(task, {"y": form}, TARGETS))["miou"].value == pytest.approx(
        by_pixel(np.asarray(form).argmax(1) if form.ndim == 4 and form.shape[1] == 4 else SCORES.argmax(1), TARGETS)[0]
    )


@pytest.mark.parametrize("threshold", [0.5, 0.9])
@pytest.mark.parametrize("probabilities", [True, False])
def test_one_score_a_place_tells_two_classes_apart(threshold: float, probabilities: bool) -> None:
    task = TaskSettings(kind="segmentation", threshold=threshold)
    logits, targets = RNG.normal(0, 3, (9, 1, 4, 4)), RNG.integers(0, 2, (9, 4, 4))
    sure = 1 / (1 + np.exp(-logits))
    own = kept(task, {"y": sure if probabilities else logits}, targets)
    assert own.scores == ("probability" if probabilities else "sigmoid")
    answers = (sure[:, 0] >= threshold).astype(int)
    assert measured(task, own)["pixel_accuracy"].value == pytest.approx(float((answers == targets).mean()))


def test_tokens_are_places_too() -> None:
    scores, targets = RNG.normal(size=(6, 8, 4)), RNG.integers(0, 4, (6, 8))
    targets[:, 5:] = -100
    task = TaskSettings(kind="segmentation", ignore_index=-100)
    found = measured(task, kept(task, {"y": scores}, targets))
    assert found["pixel_accuracy"].value == pytest.approx(float((scores.argmax(-1) == targets)[:, :5].mean()))


@pytest.mark.parametrize("lengths", [(4, 6, 4, 3), (6, 4), (4, 4, 7)], ids=str)
@pytest.mark.parametrize("last", [True, False], ids=["classes last", "classes first"])
def test_as_many_tokens_as_classes_are_read_like_the_others(lengths: tuple[int, ...], last: bool) -> None:
    """By their shape alone, scores of four tokens and four classes could lie either way."""
    right, batches = [], []
    for length in lengths:
        targets = RNG.integers(0, 4, (5, length))
        scores = RNG.normal(size=(5, length, 4)) + np.eye(4)[targets]
        batches.append(({"y": scores if last else scores.swapaxes(1, 2)}, targets))
        right += [scores[i, j].argmax() == targets[i, j] for i in range(5) for j in range(length)]
    found = measured(TASK, kept_of(TASK, batches))
    assert found["pixel_accuracy"].value == pytest.approx(float(np.mean(right)))


def test_where_no_example_tells_the_classes_come_first() -> None:
    scores, targets = RNG.normal(size=(6, 4, 4)), RNG.integers(0, 4, (6, 4))
    found = measured(TASK, kept(TASK, {"y": scores}, targets))
    assert found["pixel_accuracy"].value == pytest.approx(float((scores.argmax(1) == targets).mean()))


def test_a_place_without_a_number_is_wrong_and_its_example_not_finite() -> None:
    scores = SCORES.copy()
    scores[2, 1, 0, 0] = np.nan
    own = kept(TASK, {"y": scores}, TARGETS)
    answers = SCORES.argmax(1)
    answers[2, 0, 0] = -1
    assert np.flatnonzero(~own.finite).tolist() == [2]
    miou, accuracy = by_pixel(answers, TARGETS)
    found = measured(TASK, own)
    assert (found["miou"].value, found["pixel_accuracy"].value) == pytest.approx((miou, accuracy))
    assert found["nonfinite_outputs"].value == pytest.approx(1 / 12)


@pytest.mark.parametrize(
    ("scores", "targets", "said"),
    [
        (
            SCORES,
            np.where(TARGETS == 3, 255, TARGETS),
            "target 255 is beyond the model's 4 classes (.|\\n)*ignore_index: 255",
        ),
        (SCORES[..., :3, :3], TARGETS, r"gives shape \[4, 3, 3\] an example, and the targets have \[5, 6\]"),
        (SCORES.argmax(1), TARGETS, "how many there are is not known"),
        (SCORES[:, 0, 0, 0], TARGETS, r"gives shape \[\] an example"),
    ],
    ids=["a class beyond", "another resolution", "classes without names", "a number a picture"],
)
def test_what_fits_no_segmentation_is_told(scores: Any, targets: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        kept(TASK, {"y": scores}, targets)


def test_where_nothing_counts_there_is_no_figure() -> None:
    found = measured(VOID, kept(VOID, {"y": SCORES}, np.full(TARGETS.shape, 255)))
    assert (found["miou"].status, found["pixel_accuracy"].status) == ("unavailable", "unavailable")
    assert "ignore_index" in str(found["miou"].reason)


def test_a_class_without_a_pixel_is_refused_unless_allowed() -> None:
    own = kept(TASK, {"y": SCORES}, np.where(TARGETS == 2, 0, TARGETS))
    with pytest.raises(UsageError, match="no example of class 2"):
        TASKS["segmentation"].check(TASK, own)
    TASKS["segmentation"].check(TaskSettings(kind="segmentation", absent_classes="allow"), own)
