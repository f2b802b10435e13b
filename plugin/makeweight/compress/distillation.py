"""A loss made of another one and of a teacher's answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from makeweight.compress.examples import Batch
from makeweight.compress.losses import Loss
from makeweight.compress.scores import Reading


@dataclass(frozen=True)
class Distillation:
    """Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015, https://arxiv.org/abs/1503.02531.

    Both softened by the temperature T, the gradient scaled back by T^2. Where the task is no classification, the
    squared error from the teacher's answers.
    """

    labels: Loss
    teacher: Any
    """Its answers as `read` gives them, for every example of the train split."""
    read: Reading
    classifies: bool
    temperature: float
    weight: float
    """The teacher's share of the loss."""

    def __call__(self, scores: Any, batch: Batch) -> Any:
        labels = self.labels(scores, batch)
        taught = self.distance(self.read(scores), self.teacher[batch.indices])
        return (1 - self.weight) * labels + self.weight * taught

    def distance(self, student: Any, teacher: Any) -> Any:
        from torch.nn import functional

        if not self.classifies:
            return functional.mse_loss(student, teacher)
        student = functional.log_softmax(student / self.temperature, dim=1)
        soft = functional.log_softmax(teacher / self.temperature, dim=1)
        return functional.kl_div(student, soft, reduction="batchmean", log_target=True) * self.temperature**2
