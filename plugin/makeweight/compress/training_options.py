"""What can be set on training, apart from the training: the configuration is read without it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from makeweight.compress import technique
from makeweight.config.settings import CallablePath

# The baseline is needed even without a teacher: its scores tell how the student's are read.
NEEDS = technique.Needs(splits=("train",), wishes=("validation",), baseline=True)


class TrainingOptions(technique.Options):
    """How to train: AdamW, the learning rate falling to zero along a half cosine."""

    epochs: int = Field(3, ge=1, description="Passes through the train split.")
    lr: float = Field(1e-3, gt=0, description="Learning rate at the start.")
    batch: int = Field(32, ge=1, description="Examples in a step.")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's weight decay.")
    teacher: Literal["none", "baseline"] = Field(
        "none", description="`baseline` learns from the uncompressed model's outputs too (knowledge distillation)."
    )
    temperature: float = Field(4.0, gt=0, description="How far the teacher's and the student's scores are softened.")
    teacher_weight: float = Field(0.7, ge=0, le=1, description="The teacher's share of the loss.")
    train: CallablePath | None = Field(
        None,
        description="module:callable(module, training) that does the whole training in place of the built-in loop.",
    )
    loss: CallablePath | None = Field(
        None,
        description="module:callable(outputs, targets) -> a scalar tensor (default: cross entropy for classification "
        "and segmentation, binary cross entropy for labels, mean squared error for regression).",
    )
