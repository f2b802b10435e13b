"""What training minimises: the task's own loss, or the user's; and either with a teacher's answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from makeweight.compress.examples import Batch
from makeweight.compress.scores import Reading
from makeweight.config.settings import TaskSettings
from makeweight.user import callables
from makeweight_base.errors import UsageError

Loss = Callable[[Any, Batch], Any]
"""One number to make small, of a module's scores for a batch."""


def loss_of(declared: str | None, read: Reading, task: TaskSettings, root: Path) -> Loss:
    """The declared loss, or the task's own.

    Raises:
        UsageError: none is declared and the task has none of its own, or there is no such callable.
    """
    if declared is not None:
        return _users(declared, root)
    if task.kind == "classification":
        return cross_entropy(read)
    if task.kind == "regression":
        return squared_error
    raise UsageError(
        f"a task of kind `{task.kind}` has no loss of its own to train with",
        where="makeweight.yaml: variants",
        do="Give the step a `loss: module:callable(outputs, targets)`.",
    )


def cross_entropy(read: Reading) -> Loss:
    """For a classification. Called, it raises UsageError where a target is no output of the classifier."""
    from torch.nn import functional

    def loss(scores: Any, batch: Batch) -> Any:
        logits, highest = read(scores), int(batch.targets.max())
        if highest >= logits.shape[1]:
            raise UsageError(
                f"example {int(batch.indices[batch.targets.argmax()])} is of class {highest}, and the model has "
                f"{logits.shape[1]} classes",
                where="makeweight.yaml: data",
                do="Class indices begin at 0; mend the loader, or build the model with enough outputs.",
            )
        return functional.cross_entropy(logits, batch.targets)

    return loss


def squared_error(scores: Any, batch: Batch) -> Any:
    """For a regression: the mean.

    Raises:
        UsageError: scores and targets differ in number.
    """
    from torch.nn import functional

    targets = batch.targets
    if scores.numel() != targets.numel():
        raise UsageError(
            f"the model gives shape {list(scores.shape)} and the targets have {list(targets.shape)}",
            where="makeweight.yaml: data.load",
            do="Make the loader's targets fit the model's output.",
        )
    # [n, 1] against [n] would broadcast to [n, n], and learn nonsense
    return functional.mse_loss(scores.reshape(targets.shape), targets)


def distilled(labels: Loss, distance: Loss, weight: float) -> Loss:
    """A loss and the distance from a teacher, which has `weight` of the whole."""
    return lambda scores, batch: (1 - weight) * labels(scores, batch) + weight * distance(scores, batch)


def from_teacher(asked: Callable[[Batch], Any], read: Reading, temperature: float | None) -> Loss:
    """Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015, https://arxiv.org/abs/1503.02531.

    Both softened by the temperature T, the gradient scaled back by T^2. Without one, where the task is no
    classification, the squared error from the teacher's answers.

    Args:
        asked: gives the teacher's answers to a batch, as `read` reads them.
    """
    from torch.nn import functional

    def distance(scores: Any, batch: Batch) -> Any:
        student, teacher = read(scores), asked(batch)
        if temperature is None:
            return functional.mse_loss(student, teacher)
        student = functional.log_softmax(student / temperature, dim=1)
        soft = functional.log_softmax(teacher / temperature, dim=1)
        return functional.kl_div(student, soft, reduction="batchmean", log_target=True) * temperature**2

    return distance


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
