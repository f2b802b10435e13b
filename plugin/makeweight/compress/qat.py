"""qat: quantization-aware training. The module is trained with the rounding that its integers will have, and learns the
ranges of its activations; then it is lowered in 8 bits with these. What can be set stands here; `simulation.py` does
it, which the configuration is read without.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018,
https://arxiv.org/abs/1712.05877
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import Field

from makeweight.compress.subject import Subject
from makeweight.compress.technique import Effect, Given, Needs, NumberFormat, Transformation, layers_that
from makeweight.compress.training_options import NEEDS, TrainingOptions
from makeweight.runtimes.format import FLOAT32, Format, Numbers, Observer, SourceKind


class QatOptions(TrainingOptions):
    """How to train for integers."""

    lr: float = Field(1e-4, gt=0, description="Learning rate at the start.")
    calibrate: Observer = Field(
        "mse",
        description="What the ranges of activations begin with, by calibration examples: see `quantize`.",
    )
    per_channel: bool = Field(True, description="A scale for each output channel instead of one for the tensor.")
    exclude: tuple[str, ...] = layers_that("stay in floating point")


class Qat(Transformation, NumberFormat):
    """Training with simulated 8-bit weights and activations, and the lowering in these."""

    name: ClassVar[str] = "qat"
    sets_number_format: ClassVar[bool] = True
    accepts: ClassVar[frozenset[SourceKind]] = frozenset({"module"})
    Options = QatOptions
    searched: ClassVar[Sequence[Mapping[str, Any]]] = ({"epochs": [1, 3]},)

    def effect(self, options: QatOptions) -> Effect:  # noqa: ARG002
        return "trains"

    def needs(self, options: QatOptions) -> Needs:  # noqa: ARG002
        return replace(NEEDS, splits=(*NEEDS.splits, "calibration"))

    def format(self, options: QatOptions) -> Format:
        return Format(
            weights=Numbers("int8", "channel" if options.per_channel else "tensor"),
            activations=Numbers("int8"),
            ranges="learned",
            observer=options.calibrate,
            exceptions=tuple((name, FLOAT32) for name in options.exclude),
        )

    def apply(self, subject: Subject, options: QatOptions, given: Given) -> Subject:
        from makeweight.compress import simulation

        return simulation.train(subject, options, self.format(options), given)

    def training(self, options: QatOptions) -> TrainingOptions:
        return options.alone()
