"""A model in integers with some layers in float, made and held against what it was made from."""

from __future__ import annotations

import glob
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from makeweight.artifact.model import Model
from makeweight.compress.subject import Subject
from makeweight.compress.supply import Supply
from makeweight.compress.trial import try_out
from makeweight.runtimes.format import FLOAT32, Format
from makeweight.runtimes.runtime import RecipeFailed
from makeweight.user.split import Split
from makeweight_base.progress import Silent


@dataclass(frozen=True)
class MixedPrecision:
    """Models of one subject in one format of integers, each with other layers left in float."""

    supply: Supply
    subject: Subject
    format: Format
    reference: Model
    """The same in float32."""
    macs: int | None
    """See `try_out`."""
    examples: Split
    """What they are held against the reference on."""

    @cached_property
    def integers(self) -> Model:
        """With no layer in float.

        Raises:
            UsageError, RecipeFailed: see `Runtime.lower`.
        """
        supply = self.supply
        return supply.lowered(self.subject, self.format, supply.scratch / f"integers{supply.runtime.suffix}")

    def with_exceptions(self, names: Sequence[str]) -> Format:
        # a name is meant as it is, whatever it has of a pattern
        left = tuple((glob.escape(name), FLOAT32) for name in names)
        return replace(self.format, exceptions=(*self.format.exceptions, *left))

    def tried(self, names: Sequence[str]) -> tuple[float, Model]:
        """The least signal to noise in decibels with these layers in float, and the model, whose file holds until the
        next is tried; minus infinity where it is of no use."""
        made, supply = self.integers, self.supply
        try:
            if names:
                place = supply.scratch / f"tried{supply.runtime.suffix}"
                made = supply.lowered(self.subject, self.with_exceptions(names), place)
            trial = try_out(made, self.reference, self.examples, supply.declared, supply.runtime, self.macs, Silent())
        except RecipeFailed:
            return -math.inf, made
        ranked = supply.declared.task.ranked
        told = [value for name, value in trial.decibels.items() if value is not None and name not in ranked]
        return min(told, default=-math.inf), made
