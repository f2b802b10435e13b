"""A recipe: steps in order, then one lowering; checked when the configuration is read, long before it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from makeweight.compress.technique import Effect, Goal, NumberFormat, Options, Technique, Transformation
from makeweight.runtimes.format import FLOAT32, Format, SourceKind

if TYPE_CHECKING:
    from makeweight.compress.training_options import TrainingOptions

# What holds of weights after a step with such an effect, and the effects of those that would break it.
_HELD: dict[str | None, tuple[str, tuple[Effect, ...]]] = {
    "masks": ("zero", ("changes", "masks", "hashes")),
    "ties": ("share their values", ("changes", "masks", "ties", "hashes")),
    "hashes": ("share their values", ("changes", "masks", "ties", "hashes")),
}

# The effects that change how long an inference takes.
_SPEEDS: tuple[Effect, ...] = ("changes", "ties", "replaces")

Objection = Callable[[Format, SourceKind], str | None]
"""Why a runtime does not offer a format, of a module or a file; None where it does."""


@dataclass(frozen=True)
class Step:
    """One technique with its options."""

    technique: Technique
    options: Options

    @property
    def name(self) -> str:
        return self.technique.name

    @property
    def changes_model(self) -> bool:
        """Whether it is a step on the model, besides the number format that it may set."""
        return not self.technique.sets_number_format or hasattr(self.technique, "apply")

    @property
    def transformation(self) -> Transformation:
        """Of a step that changes the model."""
        return cast(Transformation, self.technique)

    @property
    def format(self) -> Format:
        """Of a step that sets the number format."""
        return cast(NumberFormat, self.technique).format(self.options)

    @property
    def goal(self) -> Goal | None:
        """Of a step that sets the number format."""
        return cast(NumberFormat, self.technique).goal(self.options)


class Nonsense(ValueError):
    """A recipe that could never work; `step` is the index of the step to mend."""

    def __init__(self, message: str, step: int | None = None) -> None:
        super().__init__(message)
        self.step = step


@dataclass(frozen=True)
class Plan:
    """A recipe as it is carried out: steps on the model, then one lowering in one number format."""

    steps: tuple[Step, ...]
    lowering: Step | None
    """The step that sets the number format; None: float32."""

    @property
    def format(self) -> Format:
        numbers = FLOAT32 if self.lowering is None else self.lowering.format
        shared = [step.transformation.codebook(step.options) for step in self.steps]
        return replace(numbers, codebook=next((bits for bits in shared if bits is not None), None))

    @property
    def trainings(self) -> list[tuple[str, TrainingOptions]]:
        """How its steps train, by technique."""
        asked = ((step.name, step.transformation.training(step.options)) for step in self.steps)
        return [(name, options) for name, options in asked if options is not None]

    @property
    def in_order(self) -> tuple[Step, ...]:
        """All of its steps; one that is both kinds stands there once."""
        last = () if self.lowering is None or self.lowering in self.steps else (self.lowering,)
        return (*self.steps, *last)

    @property
    def techniques(self) -> tuple[Technique, ...]:
        return tuple(step.technique for step in self.in_order)


@dataclass(frozen=True)
class Variant:
    """A declared recipe, checked and ordered."""

    name: str
    runtime: str
    plan: Plan
    recipe: list[dict[str, Any]]
    """The steps as plain data with every default filled in, for the manifest."""

    def twin(self, others: Mapping[str, Variant]) -> str | None:
        """The name of the first that is the same recipe; None: none is."""
        own = (self.runtime, self.recipe)
        return next((name for name, each in others.items() if (each.runtime, each.recipe) == own), None)


def plan(source: SourceKind, steps: list[Step], objection: Objection, *, elsewhere: bool = False) -> Plan:
    """Order a recipe.

    Args:
        elsewhere: whether it ships on another runtime than the baseline's, which is something without any step.

    Raises:
        Nonsense: an empty recipe, a step that comes too late, one that the source cannot have, or not so, two number
            formats, one that the runtime does not offer, one that a later one undoes, or training alone.
    """
    if not steps and not elsewhere:
        raise Nonsense("a variant needs at least one step; the uncompressed model is already measured as `baseline`")
    steps = list(steps)
    kind, left_module_at, format_at = source, None, None
    for index, step in enumerate(steps):
        if step.technique.sets_number_format and format_at is not None:
            raise Nonsense(
                f"`{step.name}` after `{steps[format_at].name}`: the number format is already set; keep one", index
            )
        if not step.changes_model:
            format_at = index
            left_module_at = index if left_module_at is None else left_module_at
            continue
        accepts = step.transformation.accepts
        if source == "graph" and "graph" not in accepts:
            raise Nonsense(
                f"`{step.name}` works on a PyTorch module, and this model is a file without one; "
                "declare `model.build` and `model.weights`, or drop the step",
                index,
            )
        if left_module_at is not None and "graph" not in accepts:
            raise Nonsense(
                f"`{step.name}` works on the PyTorch module, but `{steps[left_module_at].name}` before it works on "
                "the exported graph; put it first",
                index,
            )
        if format_at is not None:
            raise Nonsense(
                f"`{step.name}` changes the model, and `{steps[format_at].name}` before it sets the numbers that it is "
                "lowered in, which comes last; put it first",
                index,
            )
        if kind == "module" and "module" not in accepts:
            kind, left_module_at = "graph", index
        if kind == "graph":
            try:
                steps[index] = replace(step, options=step.options.for_graph())
            except ValueError as error:
                raise Nonsense(f"`{step.name}`: {error}", index) from error
        if step.technique.sets_number_format:
            format_at = index
    effects = [step.transformation.effect(step.options) if step.changes_model else None for step in steps]
    if "replaces" in effects[1:]:
        later = effects.index("replaces", 1)
        raise Nonsense(
            f"what `{steps[0].name}` does is lost: `{steps[later].name}` after it puts another model in place of this "
            f"one; put `{steps[later].name}` first",
            0,
        )
    for index, (step, effect) in enumerate(zip(steps, effects, strict=True)):
        for first, earlier in zip(steps[:index], effects[:index], strict=True):
            held, broken_by = _HELD.get(earlier, ("", ()))
            if effect in broken_by:
                raise Nonsense(
                    f"`{step.name}` changes layers whose weights `{first.name}` before it has made {held}; put "
                    f"`{step.name}` first, or keep one of them",
                    index,
                )
    _refuse_late_changes(steps, effects)
    _refuse_unlearned(steps, effects)
    if steps and format_at is None and set(effects) <= {"trains"}:
        raise Nonsense("training alone compresses nothing; add a step that does, or drop the variant", 0)
    made = Plan(tuple(step for step in steps if step.changes_model), None if format_at is None else steps[format_at])
    if (reason := objection(made.format, kind)) is not None:
        raise Nonsense(reason, format_at)
    return made


def _refuse_unlearned(steps: list[Step], effects: list[Effect | None]) -> None:
    """Raises:
    Nonsense: a step ties weights that have nothing in common, and nothing trains them afterwards.
    """
    for index, step in enumerate(steps):
        if effects[index] == "hashes" and "trains" not in effects[index:]:
            raise Nonsense(f"what `{step.name}` ties by a hash has to be learned: put `finetune` behind it", index)


def _refuse_late_changes(steps: list[Step], effects: list[Effect | None]) -> None:
    """Raises:
    Nonsense: a step changes how long a model takes that an earlier one made to take so long.
    """
    for index, step in enumerate(steps):
        if not step.changes_model or step.transformation.needs(step.options).timed_on is None:
            continue
        for later in range(index + 1, len(steps)):
            if effects[later] in _SPEEDS:
                raise Nonsense(
                    f"`{steps[later].name}` changes how long an inference takes, and `{step.name}` before it aims at a "
                    f"latency; drop it, or give `{step.name}` another aim",
                    later,
                )
