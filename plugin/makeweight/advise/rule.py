"""What a rule of advice consists of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from makeweight.advise.facts import DeviceFacts, Facts, Figure
from makeweight.runtimes.runtime import LayerKind

Effort = Literal["seconds", "minutes", "training", "long training"]
"""What carrying a recipe out takes: `minutes` tries many models or makes another export, `long training` trains several
times or a new one."""
EFFORTS: tuple[Effort, ...] = ("seconds", "minutes", "training", "long training")
Recipe = Mapping[str, Any]
"""A variant, as it stands under `variants:`."""


@dataclass(frozen=True)
class Condition:
    """Something that has to be true of the facts."""

    words: str
    """`the source is a module`."""
    objection: Callable[[Facts], str | None]
    """Why it is not so; None where it is. Pure."""
    about: Literal["model", "data", "tried"] = "model"
    """What decides it: the model and its budget, which examples there are, or what comes of trying it on a module."""


@dataclass(frozen=True)
class Where:
    """On which devices an effect is seen."""

    words: str
    instructions: frozenset[str]
    """Of which it has one at least."""
    able: str
    """What a device with them does: `multiplies bytes`."""
    unable: str
    absent: bool = False
    """Whether it is about the devices without any of them."""

    def holds(self, device: DeviceFacts) -> bool:
        return device.has(self.instructions) != self.absent


@dataclass(frozen=True)
class Effect:
    """What a recipe does to what it reaches, as a range that the sources and our own measurements span."""

    figure: Figure
    low: float
    """The ratio of what it reaches, afterwards and before; of `drop`, what is lost of the quality, a fraction."""
    high: float
    where: Where | None = None
    """None: everywhere."""
    each: int = 0
    """Of `size`: bytes that may come to it with every layer reached (scales, and nodes that convert)."""
    beside: Mapping[LayerKind, tuple[float, float]] = field(default_factory=dict)
    """Of a size: the range of layers that are reached too, and fare otherwise than the others."""


@dataclass(frozen=True)
class Source:
    """Where a rule is from."""

    title: str
    url: str


@dataclass(frozen=True)
class Rule:
    """One technique, or a row of them, and when to try it."""

    name: str
    """That of the variant too."""
    does: str
    """What it does, in a sentence."""
    because: str
    """Why that helps, in a sentence."""
    when: tuple[Condition, ...]
    reaches: tuple[LayerKind, ...]
    """The layers whose bytes and time the effects are of; the rest stays as it is."""
    recipe: Callable[[Facts], Recipe]
    """Pure."""
    effort: Effort
    effects: tuple[Effect, ...]
    sources: tuple[Source, ...]
    against: str
    """What speaks against it."""
    moves: bool = False
    """Whether it goes to another runtime: then what it does not reach takes another time too."""
    narrows: bool = False
    """Whether it removes channels: its effects are of what is left then."""
