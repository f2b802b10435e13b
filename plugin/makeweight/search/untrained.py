"""The form of a recipe before any training: its size and its time are those of what training would leave, and cost a
fraction of it to find out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from makeweight.compress import technique
from makeweight.compress.recipe import Plan, Step, Variant
from makeweight.compress.stopwatch import untrained
from makeweight.runtimes.format import Format


@dataclass(frozen=True)
class InNumbers(technique.NumberFormat):
    """A lowering in a format that is given as it is."""

    numbers: Format
    name: ClassVar[str] = "numbers"
    Options: ClassVar[type[technique.Options]] = technique.Options

    def format(self, options: Any) -> Format:  # noqa: ARG002
        return self.numbers


def form_of(variant: Variant) -> Variant | None:
    """The recipe without its training, as far as that can be left out; None: nothing trains, or a step times what it
    makes, so that its form is already as fast as it is meant to be."""
    plan = variant.plan
    if not plan.trainings or any(step.transformation.needs(step.options).timed_on for step in plan.steps):
        return None
    steps = [_without_training(step) for step in plan.steps]
    lowering = plan.lowering
    if lowering is not None:
        numbers = replace(untrained(lowering.format), codebook=None)
        lowering = Step(InNumbers(numbers), technique.Options())
    bare = Plan(tuple(step for step in steps if step is not None), lowering)
    plain = [{step.name: step.options.model_dump(mode="json")} for step in bare.in_order]
    return Variant(variant.name, variant.runtime, bare, plain)


def _without_training(step: Step) -> Step | None:
    """None: training is all that the step does."""
    if step.transformation.training(step.options) is None:
        return step
    if step.transformation.effect(step.options) == "trains":
        return None
    allowed = type(step.options).model_fields.get("epochs")
    if allowed is None:
        return step
    none = any(getattr(bound, "ge", None) == 0 for bound in allowed.metadata)
    return replace(step, options=step.options.model_copy(update={"epochs": 0 if none else 1}))
