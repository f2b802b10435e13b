"""What training minimises: the task's own loss, or the user's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from makeweight.compress.examples import Batch
from makeweight.compress.scores import Reading
from makeweight.config.settings import TaskSettings
from makeweight.user import callables
from makeweight_base.errors import UsageError


class Loss(Protocol):
    """One number to make small, of a module's scores for a batch."""

    def __call__(self, scores: Any, batch: Batch) -> Any: ...


@dataclass(frozen=True)
class CrossEntropy:
    """For a classification."""

    read: Reading

    def __call__(self, scores: Any, batch: Batch) -> Any:
        from torch.nn import functional

        return functional.cross_entropy(self.read(scores), batch.targets)


class SquaredError:
    """For a regression: the mean.

    Raises (when called):
        UsageError: scores and targets differ in number.
    """

    def __call__(self, scores: Any, batch: Batch) -> Any:
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


class Declared:
    """The user's own: module:callable(outputs, targets).

    Raises:
        UsageError: there is no such callable; when called, whatever it raises, or that it gives no scalar tensor.
    """

    def __init__(self, dotted: str, root: Path) -> None:
        self._dotted, self._root = dotted, root
        self._own = callables.find(dotted, root, where="makeweight.yaml: loss")

    def __call__(self, scores: Any, batch: Batch) -> Any:
        import torch

        value = callables.call(self._own, scores, batch.targets, name=self._dotted, root=self._root)
        if getattr(value, "ndim", None) != 0 or (torch.is_grad_enabled() and not value.requires_grad):
            raise UsageError(
                "a loss is one number as a torch.Tensor that depends on the outputs",
                where=self._dotted,
                do="Return a mean, such as ((outputs - targets) ** 2).mean().",
            )
        return value


def loss_of(declared: str | None, read: Reading, task: TaskSettings, root: Path) -> Loss:
    """The declared loss, or the task's own.

    Raises:
        UsageError: a task of kind `custom` without a declared loss, or no such callable.
    """
    if declared is not None:
        return Declared(declared, root)
    if task.kind == "classification":
        return CrossEntropy(read)
    if task.kind == "regression":
        return SquaredError()
    raise UsageError(
        f"a task of kind `{task.kind}` has no loss of its own to train with",
        where="makeweight.yaml: variants",
        do="Give the step a `loss: module:callable(outputs, targets)`.",
    )
