"""What can be set on training, apart from the training: the configuration is read without it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from makeweight.compress import technique
from makeweight.config.settings import CallablePath, callable_path

# The baseline is needed even without a teacher: its scores tell how the student's are read.
NEEDS = technique.Needs(splits=("train",), wishes=("validation",), baseline=True)


def _teacher(text: str) -> str:
    if ":" in text:
        return callable_path(text)
    if text in ("none", "baseline") or text.endswith(".onnx"):
        return text
    raise ValueError(f"`{text}` is no teacher: `baseline`, `module:callable`, an ONNX file or `none`")


Teacher = Annotated[str, AfterValidator(_teacher)]
Layers = Mapping[str, str]
"""Layers of the teacher by the names of those of the student that follow them."""


class TrainingOptions(technique.Options):
    """How to train."""

    epochs: int = Field(3, ge=1, description="Passes through the train split.")
    lr: float = Field(1e-3, gt=0, description="Learning rate at the start.")
    batch: int = Field(32, ge=1, description="Examples in a step.")
    optimizer: Literal["adamw", "sgd"] = Field(
        "adamw", description="`sgd` has a momentum of 0.9 (Nesterov's), and wants a larger `lr`."
    )
    weight_decay: float = Field(0.01, ge=0, description="The optimizer's weight decay.")
    schedule: Literal["cosine", "one_cycle"] = Field(
        "cosine",
        description="The learning rate falls to zero along a half cosine, or first rises to `lr` for three tenths of "
        "the steps (one-cycle).",
    )
    clip: float | None = Field(None, gt=0, description="The largest norm of all gradients together in a step.")
    ema: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Keep the exponential moving average of the weights, with this share of the old in a step (0.999).",
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Of cross entropy: the share of a target that is spread over all classes."
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="`bfloat16` multiplies in it while training (autocast), where the processor does so by itself; "
        "weights stay in float32, and epochs are compared in it.",
    )
    accelerator: Literal["auto", "cuda", "none"] = Field(
        "auto",
        description="What is trained on: `auto` takes CUDA where PyTorch has it (but leaves a `train` of your own in "
        "main memory), `cuda` insists on it, `none` takes the processor.",
    )
    patience: int | None = Field(
        None, ge=1, description="Stop after so many epochs that are no better on the validation split."
    )
    teacher: Teacher = Field(
        "none",
        description="Whose outputs are learnt from too (knowledge distillation): `baseline`, the uncompressed model's; "
        "those of the module that `module:callable` returns; or of an ONNX file.",
    )
    teacher_weights: str | None = Field(
        None, description="The weights of a `teacher: module:callable`, as `model.weights` (default: as it is built)."
    )
    labels: bool = Field(True, description="`false` learns from the teacher alone, and reads no targets.")
    temperature: float = Field(4.0, gt=0, description="How far the teacher's and the student's scores are softened.")
    teacher_weight: float = Field(0.7, ge=0, le=1, description="The teacher's share of the loss.")
    hints: Layers = Field(
        default_factory=dict,
        description="Layers of the student, each with one of the teacher whose answer it comes to resemble.",
    )
    hint_weight: float = Field(1.0, gt=0, description="How much the distances of hints count beside the loss.")
    attention: Layers = Field(
        default_factory=dict,
        description="Layers of the student, each with one of the teacher that it comes to look at the same places as.",
    )
    attention_weight: float = Field(1.0, gt=0, description="How much the distances of attention count beside the loss.")
    train: CallablePath | None = Field(
        None,
        description="module:callable(module, training) that does the whole training in place of the built-in loop.",
    )
    loss: CallablePath | None = Field(
        None,
        description="module:callable(outputs, targets) -> a scalar tensor (default: cross entropy for classification "
        "and segmentation, binary cross entropy for labels, mean squared error for regression).",
    )

    @model_validator(mode="after")
    def _teaching_holds_together(self) -> Self:
        features = [name for name in ("hints", "attention") if getattr(self, name)]
        asked = features if self.labels else ["labels: false", *features]
        if self.teacher == "none" and asked:
            raise ValueError(f"`{asked[0]}` needs a `teacher`")
        if self.teacher_weights is not None and ":" not in self.teacher:
            raise ValueError("`teacher_weights` goes with `teacher: module:callable`")
        if features and self.teacher.endswith(".onnx"):
            raise ValueError(f"`{features[0]}` names layers of the teacher, and a file has none; give a module")
        if features and self.train is not None:
            raise ValueError(f"`{features[0]}` is for the built-in loop, and `train` takes its place")
        if self.label_smoothing and (self.loss is not None or not self.labels):
            raise ValueError("`label_smoothing` is of the task's own loss on labels, which is not used here")
        if self.loss is not None and not self.labels:
            raise ValueError("`loss` is of outputs and targets, and with `labels: false` there are none")
        return self

    def alone(self, **other: Any) -> TrainingOptions:
        """These of a step's options, without those of its own; `other` in place of some."""
        shared = {name: getattr(self, name) for name in TrainingOptions.model_fields}
        return TrainingOptions(**{**shared, **other})

    @property
    def teacher_files(self) -> tuple[str, ...]:
        """What the teacher is read from, besides code."""
        files = (self.teacher_weights, self.teacher if self.teacher.endswith(".onnx") else None)
        return tuple(path for path in files if path is not None)
