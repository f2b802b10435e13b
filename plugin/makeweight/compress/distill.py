"""distill: have a smaller model learn what a larger one answers. What can be set stands here; `students.py` makes the
smaller model, and the training is the one of every step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from makeweight.compress.subject import Subject
from makeweight.compress.technique import Effect, Given, Needs, Transformation
from makeweight.compress.training_options import NEEDS, Teacher, TrainingOptions
from makeweight.config.settings import CallablePath
from makeweight.runtimes.format import SourceKind


class DistillOptions(TrainingOptions):
    """Who learns, and of whom. Without `student`, `width` and `depth` the model as the steps before left it learns."""

    teacher: Teacher = Field("baseline", description=TrainingOptions.model_fields["teacher"].description)
    student: CallablePath | None = Field(
        None, description="module:callable that returns the torch.nn.Module that learns, with weights of its own."
    )
    width: float | None = Field(
        None, gt=0, lt=1, description="The part of every layer's channels that the student keeps (see `prune`)."
    )
    depth: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="The part of the repeated blocks that the student keeps, every second of them or so.",
    )
    round_to: int | None = Field(
        None,
        ge=1,
        description="With `width`, a multiple of channels that is kept (default: what the runtime is fast at).",
    )

    @model_validator(mode="after")
    def _one_student(self) -> Self:
        if self.teacher == "none":
            raise ValueError("nobody teaches: name a `teacher`, or use `finetune`")
        derived = [name for name in ("width", "depth") if getattr(self, name) is not None]
        if self.student is not None and derived:
            raise ValueError(f"a `student` of your own is as wide and deep as you build it; drop `{derived[0]}`")
        if self.round_to is not None and self.width is None:
            raise ValueError("`round_to` goes with `width`")
        return self


class Distill(Transformation):
    """A student of the user's, or one derived from the model, trained with a teacher."""

    name: ClassVar[str] = "distill"
    packages: ClassVar[tuple[str, ...]] = ("torch-pruning",)
    accepts: ClassVar[frozenset[SourceKind]] = frozenset({"module"})
    Options = DistillOptions
    searched: ClassVar[Sequence[Mapping[str, Any]]] = ({"width": {"from": 0.3, "to": 0.8}, "epochs": [3, 9]},)

    def effect(self, options: DistillOptions) -> Effect:
        if options.student is not None:
            return "replaces"
        return "trains" if options.width is None and options.depth is None else "changes"

    def needs(self, options: DistillOptions) -> Needs:  # noqa: ARG002
        return replace(NEEDS, splits=(*NEEDS.splits, "calibration"))

    def apply(self, subject: Subject, options: DistillOptions, given: Given) -> Subject:
        from makeweight.compress import students

        return students.taught(subject, options, given)

    def training(self, options: DistillOptions) -> TrainingOptions:
        # the layers of a student of the user's are none of the control's
        return options.alone() if options.student is None else options.alone(hints={}, attention={})
