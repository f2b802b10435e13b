"""A model in integers with some layers in float, made and held against what it was made from."""

from __future__ import annotations

import glob
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from makeweight.artifact.model import Model
from makeweight.compress.sensitivity import Wanted, fewest
from makeweight.compress.subject import Subject
from makeweight.compress.supply import Supply
from makeweight.compress.technique import Goal
from makeweight.compress.trial import NeverAnswers, try_out
from makeweight.compress.whole_split import WholeSplit
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
        next is tried; minus infinity where it is of no use.

        Raises:
            NeverAnswers: with other layers it may, and nobody waits for half an hour at each.
        """
        made, supply = self.integers, self.supply
        try:
            if names:
                place = supply.scratch / f"tried{supply.runtime.suffix}"
                made = supply.lowered(self.subject, self.with_exceptions(names), place)
            decibels = self.decibels(made)
        except NeverAnswers:
            raise
        except RecipeFailed:
            return -math.inf, made
        return -math.inf if decibels is None else decibels, made

    def decibels(self, made: Model) -> float | None:
        """The least signal to noise of such a model; None: nothing that it answers can be held against the reference.

        Raises:
            RecipeFailed: it is of no use, see `try_out`.
        """
        supply = self.supply
        trial = try_out(made, self.reference, self.examples, supply.declared, supply.runtime, self.macs, Silent())
        ranked = supply.declared.task.ranked
        told = {name: value for name, value in trial.decibels.items() if value is not None and name not in ranked}
        # a class that tips over says little of how far off its scores are, and is asked where nothing else is answered
        floating = {name: value for name, value in told.items() if name not in trial.same} or told
        return min(floating.values(), default=None)


def by_sensitivity(
    goal: Goal,
    format: Format,
    subject: Subject,
    reference: Model,
    macs: int | None,
    supply: Supply,
    notes: dict[str, Any],
) -> Format:
    """A number format with those layers in float that a goal takes.

    Args:
        reference: the subject in float32.
        macs: see `try_out`.
        notes: hears which layers those are, and on what figures.

    Raises:
        RecipeFailed: it cannot be reached.
        UsageError: there is no validation split, or, for an accuracy, it has no targets.
    """
    kinds = {np.dtype(port.dtype or "f").kind for port in reference.outputs}
    if goal.option == "signal_to_noise" and kinds <= {*"iub"}:
        raise RecipeFailed(
            "quantize: `signal_to_noise` is of outputs in floating point, and the model answers integers alone; take "
            "`max_drop`"
        )
    validation, runtime = supply.split("validation"), supply.runtime
    mixed = MixedPrecision(supply, subject, format, reference, macs, validation)

    def noise(names: Sequence[str]) -> float:
        return mixed.tried(names)[0]

    def kept(names: Sequence[str]) -> float:
        """What is not lost of the task's first figure: the drop with a minus."""
        decibels, made = mixed.tried(names)
        return decibels if decibels == -math.inf else -whole.drop(made)

    layers = runtime.inspect(mixed.integers).layers
    if not layers:
        raise RecipeFailed(f"{runtime.name} tells no layers by name, of which some could stay in float")
    if goal.option == "max_drop":
        whole = WholeSplit(supply.declared, runtime, reference, validation)
        wanted = Wanted(goal.option, -goal.value, kept, lambda value: f"a drop of {-value * 100:.2f} pt")
        unit = {"of": whole.metric.name, "examples": validation.length()}
    else:
        wanted, unit = Wanted(goal.option, goal.value, noise, lambda value: f"{value:.1f} dB"), {}
    found = fewest(layers, noise, wanted, supply.progress)
    sign = -1 if goal.option == "max_drop" else 1
    notes["by sensitivity"] = {
        goal.option.replace("_", " "): {
            **unit,
            "wanted": goal.value,
            "with no layer in float": sign * found.before,
            "reached": sign * found.reached,
        },
        "by layers in float": {str(count): sign * value for count, value in sorted(found.judged.items())},
        "kept in float": found.alone,
        "models tried": found.tried,
    }
    told = f"{len(found.kept)} of {len(layers)} layers stay in float"
    supply.progress.say(f"{told}: {wanted.show(found.reached)}, {wanted.show(found.before)} without")
    return mixed.with_exceptions(found.kept)
