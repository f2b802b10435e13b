"""A recipe: steps in order, checked when the configuration is read, long before anything is compressed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from makeweight.compress.technique import Options, Technique

Source = Literal["module", "graph"]


@dataclass(frozen=True)
class Step:
    """One technique with its options."""

    technique: Technique
    options: Options

    @property
    def name(self) -> str:
        return self.technique.name


class Nonsense(ValueError):
    """A recipe that could never work; `step` is the index of the step to mend."""

    def __init__(self, message: str, step: int | None = None) -> None:
        super().__init__(message)
        self.step = step


@dataclass(frozen=True)
class Plan:
    """A recipe in the order in which it is carried out: on the module, then (after the export) on the graph."""

    on_module: tuple[Step, ...]
    on_graph: tuple[Step, ...]


def plan(source: Source, steps: list[Step]) -> Plan:
    """Order a recipe.

    Raises:
        Nonsense: an empty recipe, a step that comes too late, one that the source cannot have, two number
            formats, or training alone.
    """
    if not steps:
        raise Nonsense("a variant needs at least one step; the uncompressed model is already measured as `baseline`")
    left_module_at: int | None = None
    format_at: int | None = None
    for index, step in enumerate(steps):
        if step.technique.accepts == "module":
            if source == "graph":
                raise Nonsense(
                    f"`{step.name}` works on a PyTorch module, and this model is a file without one; "
                    "declare `model.build` and `model.weights`, or drop the step",
                    index,
                )
            if left_module_at is not None:
                raise Nonsense(
                    f"`{step.name}` works on the PyTorch module, but `{steps[left_module_at].name}` before it works on "
                    "the exported graph; put it first",
                    index,
                )
        elif left_module_at is None:
            left_module_at = index
        if step.technique.sets_number_format:
            if format_at is not None:
                raise Nonsense(
                    f"`{step.name}` after `{steps[format_at].name}`: the number format is already set; keep one",
                    index,
                )
            format_at = index
    if all(step.name == "finetune" for step in steps):
        raise Nonsense("training alone compresses nothing; add a step that does, or drop the variant", 0)
    return Plan(
        tuple(step for step in steps if step.technique.accepts == "module"),
        tuple(step for step in steps if step.technique.accepts == "graph"),
    )
