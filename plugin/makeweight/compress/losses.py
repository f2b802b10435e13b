"""What training minimises: the task's own loss, or the user's; and either with a teacher's answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from makeweight.budget.metric import TaskKind
from makeweight.config.settings import TaskSettings
from makeweight.user import callables
from makeweight_base.errors import UsageError

if TYPE_CHECKING:
    from makeweight.compress.examples import Batch
    from makeweight.compress.scores import Reading

_DATA = "makeweight.yaml: data"
GIVE = (
    "Give the step a `train: module:callable(module, training)`, which does the whole training, or a `loss: "
    "module:callable(outputs, targets)` of the one output that `model.output` names."
)

Loss: TypeAlias = "Callable[[Any, Batch], Any]"
"""One number to make small, of a module's scores for a batch."""


def loss_of(declared: str | None, read: Reading, task: TaskSettings, root: Path, smoothing: float = 0.0) -> Loss:
    """The declared loss, or the task's own.

    Args:
        read: makes scores logits, as `scores.reading` found out.
        smoothing: the share of a target that is spread over all classes (Szegedy et al., "Rethinking the Inception
            Architecture for Computer Vision", 2016, https://arxiv.org/abs/1512.00567); of those in `SMOOTHED`.

    Raises:
        UsageError: none is declared and the task has none of its own, or there is no such callable.
    """
    if declared is not None:
        return _users(declared, root)
    if task.kind not in OWN:
        raise UsageError(none_of_its_own(task.kind), where="makeweight.yaml: variants", do=GIVE)
    return OWN[task.kind](read, task, smoothing)


def none_of_its_own(kind: TaskKind) -> str:
    return f"a task of kind `{kind}` has no loss of its own to train with"


def cross_entropy(read: Reading, smoothing: float = 0.0) -> Loss:
    """For a classification. Called, it raises UsageError where a target is no output of the classifier."""
    from torch.nn import functional

    def loss(scores: Any, batch: Batch) -> Any:
        logits, highest = read(scores), int(batch.targets.max())
        if highest >= logits.shape[1]:
            raise UsageError(
                f"example {int(batch.indices[batch.targets.argmax()])} is of class {highest}, and the model has "
                f"{logits.shape[1]} classes",
                where=_DATA,
                do="Class indices begin at 0; mend the loader, or build the model with enough outputs.",
            )
        return functional.cross_entropy(logits, batch.targets, label_smoothing=smoothing)

    return loss


def binary_cross_entropy(read: Reading) -> Loss:
    """For labels: the mean over examples and labels. Called, it raises UsageError where scores and targets differ in
    number."""
    from torch.nn import functional

    def loss(scores: Any, batch: Batch) -> Any:
        logits, targets = read(scores), batch.targets
        if logits.shape != targets.shape:
            raise _unfit(logits, targets)
        return functional.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype))

    return loss


def cross_entropy_of_places(read: Reading, ignored: int | None, smoothing: float = 0.0) -> Loss:
    """For a segmentation: the mean over the places that count; 0 where none does. Called, it raises UsageError where a
    target is no class of the model, or scores and targets differ in their places.

    Args:
        ignored: the target of the places that do not count.
    """
    from torch.nn import functional

    def loss(scores: Any, batch: Batch) -> Any:
        logits, targets = read(scores), batch.targets
        if logits.shape[2:] != targets.shape[1:]:
            raise _unfit(logits, targets)
        counts = _counting(targets, ignored)
        beyond = counts & ((targets < 0) | (targets >= logits.shape[1]))
        if beyond.any():
            first = beyond.nonzero()[0]
            raise UsageError(
                f"example {int(batch.indices[first[0]])} has a place of class {int(targets[tuple(first)])}, and the "
                f"model has {logits.shape[1]} classes",
                where=_DATA,
                do="Class indices begin at 0; mend the targets, or name the value of places that do not count in "
                "`task.ignore_index`.",
            )
        # what does not count has any class, and no weight
        whole = targets.where(counts, 0)
        lost = functional.cross_entropy(logits, whole, reduction="none", label_smoothing=smoothing)
        return _mean_of(lost, counts)

    return loss


def squared_error(scores: Any, batch: Batch) -> Any:
    """For a regression: the mean.

    Raises:
        UsageError: scores and targets differ in number, or in the order of their axes.
    """
    from torch.nn import functional

    from makeweight.measure.tasks.regression import is_turned

    targets = batch.targets
    if scores.numel() != targets.numel() or is_turned(scores.shape[1:], targets.shape[1:]):
        raise _unfit(scores, targets)
    # [n, 1] against [n] would broadcast to [n, n], and learn nonsense
    return functional.mse_loss(scores.reshape(targets.shape), targets)


def distilled(labels: Loss, distance: Loss, weight: float) -> Loss:
    """A loss and the distance from a teacher, which has `weight` of the whole."""
    return lambda scores, batch: (1 - weight) * labels(scores, batch) + weight * distance(scores, batch)


def from_teacher(asked: Callable[[Batch], Any], read: Reading, task: TaskSettings, temperature: float) -> Loss:
    """Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015, https://arxiv.org/abs/1503.02531.

    Both softened by the temperature T, the gradient scaled back by T^2: of a classification the divergence of the
    student's probabilities from the teacher's, of a segmentation its mean over the places that count, of labels the
    cross entropy of each, which is one of two classes. Of every other task, the squared error from the teacher's
    answers.

    Args:
        asked: gives the teacher's answers to a batch, as `read` reads them.
    """
    from torch.nn import functional

    def of_classes(student: Any, teacher: Any, batch: Batch) -> Any:
        student = functional.log_softmax(student / temperature, dim=1)
        soft = functional.log_softmax(teacher / temperature, dim=1)
        apart = functional.kl_div(student, soft, reduction="none", log_target=True).sum(1) * temperature**2
        return apart.mean() if apart.ndim == 1 else _mean_of(apart, _counting(batch.targets, task.ignore_index))

    def of_labels(student: Any, teacher: Any, _: Batch) -> Any:
        soft = (teacher / temperature).sigmoid()
        return functional.binary_cross_entropy_with_logits(student / temperature, soft) * temperature**2

    def of_numbers(student: Any, teacher: Any, _: Batch) -> Any:
        return functional.mse_loss(student, teacher)

    ways = {"classification": of_classes, "segmentation": of_classes, "multilabel": of_labels}
    apart = ways.get(task.kind, of_numbers)
    return lambda scores, batch: apart(read(scores), asked(batch), batch)


def _counting(targets: Any, ignored: int | None) -> Any:
    import torch

    return torch.ones_like(targets, dtype=torch.bool) if ignored is None else targets != ignored


def _mean_of(values: Any, counts: Any) -> Any:
    return (values * counts).sum() / counts.sum().clamp(min=1)


def _unfit(scores: Any, targets: Any) -> UsageError:
    return UsageError(
        f"the model gives shape {list(scores.shape)} and the targets have {list(targets.shape)}",
        where="makeweight.yaml: data.load",
        do="Make the loader's targets fit the model's output.",
    )


def _users(dotted: str, root: Path) -> Loss:
    """The user's own: module:callable(outputs, targets). Called, it raises UsageError for whatever that raises, and
    where it gives no scalar tensor."""
    import torch

    own = callables.find(dotted, root, where="makeweight.yaml: loss")

    def loss(scores: Any, batch: Batch) -> Any:
        value = callables.call(own, scores, batch.targets, name=dotted, root=root)
        if getattr(value, "ndim", None) != 0 or (torch.is_grad_enabled() and not value.requires_grad):
            raise UsageError(
                "a loss is one number as a torch.Tensor that depends on the outputs",
                where=dotted,
                do="Return a mean, such as ((outputs - targets) ** 2).mean().",
            )
        return value

    return loss


OWN: Mapping[TaskKind, Callable[[Reading, TaskSettings, float], Loss]] = {
    "classification": lambda read, _, smoothing: cross_entropy(read, smoothing),
    "multilabel": lambda read, _, __: binary_cross_entropy(read),
    "segmentation": lambda read, task, smoothing: cross_entropy_of_places(read, task.ignore_index, smoothing),
    "regression": lambda *_: squared_error,
}
"""The losses of the tasks that have one. What a detector is trained with depends on its head: on its anchors, on how
objects are given to them, on how its boxes are written."""
SMOOTHED: frozenset[TaskKind] = frozenset({"classification", "segmentation"})
"""Of these, the tasks whose targets can be smoothed."""
