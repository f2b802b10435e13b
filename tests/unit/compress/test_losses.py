"""What each task minimises, against the formulas in plain numpy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from makeweight.artifact.ports import Port
from makeweight.compress.examples import Batch, Examples
from makeweight.compress.losses import Loss, from_teacher, loss_of
from makeweight.compress.scores import reading
from makeweight.config.settings import TaskSettings
from makeweight.user.form import Form
from makeweight.user.indexed import Indexed
from makeweight.user.split import Split
from makeweight_base.errors import UsageError
from split_values import split_of

LABELS, PLACES = TaskSettings(kind="multilabel"), TaskSettings(kind="segmentation", ignore_index=255)
TEACHER, STUDENT = (np.random.default_rng(seed).normal(0, 3, (4, 3, 2, 5)) for seed in (1, 2))
MASKS = np.random.default_rng(3).choice([0, 1, 2, 255], (4, 2, 5))
COUNTS = MASKS != 255


class Says(nn.Module):
    """Answers with its examples, changed."""

    def __init__(self, change: Callable[[Any], Any]) -> None:
        super().__init__()
        self.change = change

    def forward(self, x: Any) -> Any:
        return self.change(x)


def own(task: TaskSettings, given: np.ndarray, targets: np.ndarray, change: Callable[[Any], Any]) -> tuple[Loss, Any]:
    """The loss as training finds it, and how scores are read."""
    port = Port("x", ("N", *given.shape[1:]), "float32")
    data = Examples(split_of("train", {"x": given.astype(np.float32)}, targets), task, (port,))
    read = reading(Says(change), data, None)
    return loss_of(None, read, task, Path()), read


def batch(targets: Any) -> Batch:
    return Batch(torch.arange(len(targets)), {}, torch.as_tensor(targets))


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def softmax(z: np.ndarray) -> np.ndarray:
    raised = np.exp(z - z.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)


def test_smoothed_targets_are_spread_over_all_classes() -> None:
    scores, classes = TEACHER[:, :, 0, 0], np.array([0, 2, 1, 1])
    task = TaskSettings(kind="classification")
    _, read = own(task, scores, classes, lambda z: z)
    log = np.log(softmax(scores.astype(np.float64)))
    targets = 0.8 * np.eye(3)[classes] + 0.2 / 3
    loss = loss_of(None, read, task, Path(), 0.2)
    assert float(loss(torch.from_numpy(scores), batch(classes))) == pytest.approx(-(targets * log).sum(1).mean())
    masks = loss_of(None, own(PLACES, TEACHER, MASKS, lambda z: z)[1], PLACES, Path(), 0.2)
    log = np.log(softmax(TEACHER))
    spread = 0.8 * np.take_along_axis(log, np.where(COUNTS, MASKS, 0)[:, None], 1)[:, 0] + 0.2 * log.mean(1)
    assert float(masks(torch.from_numpy(TEACHER), batch(MASKS))) == pytest.approx(-spread[COUNTS].mean())


@pytest.mark.parametrize("change", [lambda z: z, lambda z: z.sigmoid()], ids=["logits", "probabilities"])
def test_labels_are_learnt_one_by_one(change: Callable[[Any], Any]) -> None:
    logits, targets = TEACHER[..., 0, 0], np.array([[0, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 1]])
    loss, _ = own(LABELS, logits, targets, change)
    probability = sigmoid(logits)
    expected = -np.where(targets == 1, np.log(probability), np.log(1 - probability)).mean()
    scores = change(torch.tensor(logits, dtype=torch.float32))
    assert float(loss(scores, batch(targets))) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "change",
    [
        lambda z: z,
        lambda z: z.softmax(1),
        lambda z: z.movedim(1, -1),
        lambda z: z.softmax(1).movedim(1, -1),
    ],
    ids=["logits", "probabilities", "classes last", "probabilities with classes last"],
)
def test_places_are_learnt_where_they_count(change: Callable[[Any], Any]) -> None:
    loss, _ = own(PLACES, STUDENT, MASKS, change)
    by_class = -np.log(softmax(STUDENT))
    lost = np.take_along_axis(by_class, np.where(COUNTS, MASKS, 0)[:, None], 1)[:, 0]
    scores = change(torch.tensor(STUDENT, dtype=torch.float32))
    assert float(loss(scores, batch(MASKS))) == pytest.approx(lost[COUNTS].mean(), rel=1e-4)


@pytest.mark.parametrize("lengths", [(3, 3, 5), (5, 3)], ids=["others later", "others first"])
def test_where_as_many_tokens_as_classes_have_their_classes_is_told_by_others(lengths: tuple[int, ...]) -> None:
    numbers = np.random.default_rng(4)
    sentences = [(numbers.normal(size=(n, 3)).astype(np.float32), numbers.integers(0, 3, n)) for n in lengths]
    task, port = TaskSettings(kind="segmentation"), Port("x", ("N", "T", 3), "float32")
    form = Form(("x",), task.kind, "train", "data.load", Path())
    data = Examples(Split("train", Indexed(sentences, np.arange(len(lengths)), form)), task, (port,))
    read = reading(Says(lambda z: z), data, None)
    for scores, _ in sentences:
        np.testing.assert_array_equal(read(torch.from_numpy(scores[None]))[0], scores.T)


@pytest.mark.parametrize("shape", [(4, 2, 5), (4, 1, 2, 5), (4, 2, 5, 1)], ids=str)
@pytest.mark.parametrize("change", [lambda z: z, lambda z: z.sigmoid()], ids=["logits", "probabilities"])
def test_one_score_for_each_place_is_of_the_second_of_two_classes(shape: Any, change: Callable[[Any], Any]) -> None:
    logits, targets = STUDENT[:, 0].reshape(shape), MASKS % 2
    loss, _ = own(TaskSettings(kind="segmentation"), logits, targets, change)
    probability = sigmoid(STUDENT[:, 0])
    expected = -np.where(targets == 1, np.log(probability), np.log(1 - probability)).mean()
    scores = change(torch.tensor(logits, dtype=torch.float32))
    assert float(loss(scores, batch(targets))) == pytest.approx(expected, rel=1e-4)


def test_numbers_are_learnt_where_they_stand_and_not_where_axes_are_turned() -> None:
    loss, _ = own(TaskSettings(kind="regression"), STUDENT, TEACHER, lambda z: z)
    scores = torch.tensor(STUDENT, dtype=torch.float32)
    expected = float(np.square(STUDENT - TEACHER).mean())
    assert float(loss(scores, batch(TEACHER.astype(np.float32)))) == pytest.approx(expected, rel=1e-4)
    with pytest.raises(UsageError, match=r"gives shape \[4, 3, 2, 5\] and the targets have \[4, 2, 5, 3\]"):
        loss(scores, batch(np.moveaxis(TEACHER, 1, -1).astype(np.float32)))


def test_a_batch_of_which_nothing_counts_teaches_nothing() -> None:
    loss, _ = own(PLACES, STUDENT, MASKS, lambda z: z)
    scores = torch.zeros(2, 3, 2, 5, requires_grad=True)
    nothing = loss(scores, batch(np.full((2, 2, 5), 255)))
    nothing.backward()
    assert scores.grad is not None
    assert (float(nothing.detach()), float(scores.grad.abs().sum())) == (0, 0)


def test_a_teacher_of_labels_and_of_places() -> None:
    heat = 2.0
    teacher, student = (torch.tensor(values, dtype=torch.float32) for values in (TEACHER, STUDENT))
    of_places = from_teacher(lambda _: teacher, lambda scores: scores, PLACES, heat)
    soft, learnt = softmax(TEACHER / heat), softmax(STUDENT / heat)
    apart = (soft * (np.log(soft) - np.log(learnt))).sum(1)[COUNTS].mean() * heat**2
    assert float(of_places(student, batch(MASKS))) == pytest.approx(apart, rel=1e-4)

    flat = from_teacher(lambda _: teacher[..., 0, 0], lambda scores: scores, LABELS, heat)
    soft, learnt = sigmoid(TEACHER[..., 0, 0] / heat), sigmoid(STUDENT[..., 0, 0] / heat)
    apart = -(soft * np.log(learnt) + (1 - soft) * np.log(1 - learnt)).mean() * heat**2
    assert float(flat(student[..., 0, 0], batch(np.zeros((4, 3))))) == pytest.approx(apart, rel=1e-4)


@pytest.mark.parametrize(
    ("task", "scores", "targets", "said"),
    [
        (LABELS, (4, 3), np.zeros((4, 2), int), r"shape \[4, 3\] and the targets have \[4, 2\]"),
        (PLACES, (4, 3, 2, 5), np.zeros((4, 2, 4), int), r"shape \[4, 3, 2, 5\] and the targets have \[4, 2, 4\]"),
        (PLACES, (4, 3, 2, 5), np.full((4, 2, 5), 3), "example 0 has a place of class 3, and the model has 3 classes"),
        (PLACES, (4, 3, 2, 5), np.full((4, 2, 5), -1), "value of places that do not count in `task.ignore_index`"),
    ],
    ids=["labels too few", "another resolution", "no such class", "a value that is to be ignored"],
)
def test_targets_that_fit_no_scores(task: TaskSettings, scores: Any, targets: np.ndarray, said: str) -> None:
    loss = loss_of(None, lambda scores: scores, task, Path())
    with pytest.raises(UsageError, match=said):
        loss(torch.zeros(scores), batch(targets))


def test_classes_in_place_of_scores_teach_nothing() -> None:
    with pytest.raises(UsageError, match="the model answers with classes, not with scores"):
        own(PLACES, STUDENT, MASKS, lambda z: z.argmax(1))
