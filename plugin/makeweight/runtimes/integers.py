"""What of a module would be integers in a runtime's file: told before a training that is to reckon with it, and what
that training learnt, told back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LEARNED = "qat"
"""By this name a step leaves its `Learned` ranges for the lowering."""


@dataclass(frozen=True)
class Range:
    """Of numbers in 8 bits with a zero point; zero lies within."""

    lowest: float
    highest: float


@dataclass(frozen=True)
class Constant:
    """How a constant is stored."""

    signed: bool
    """Integers from -127 to 127 with the largest magnitude at an end, else from 0 to 255 over all values with zero."""
    axis: int | None
    """Each place along this axis has a scale of its own; None: all share one."""


def handed(name: str) -> bool:
    """Whether a name is of something that a call is handed, and not of a call."""
    return name.endswith(")")


@dataclass(frozen=True)
class Integers:
    """Calls have names; see `calls.py`. What a call is handed that no call gave has that of the call, with its place:
    `layers.0/add(1)`."""

    ranges: Mapping[str, Range]
    """By the call that has it first, where calibration found it."""
    calls: Mapping[str, str]
    """By call, which range its result has."""
    products: Mapping[str, bool]
    """Results that are products with integer weights, or what is folded into one; whether each channel has a scale."""
    constants: Mapping[str, Constant]
    """By each call that is handed one, or gives it: a table used whole."""
    biases: Mapping[str, str] = field(default_factory=dict)
    """Normalizations whose bias has the step of their input times that of their weights; the input's range."""
    unseen: tuple[str, ...] = ()
    """Activations on integers that are no call's result, as the runtime names them."""


@dataclass(frozen=True)
class Learned:
    """Ranges that a training learnt, by call."""

    ranges: Mapping[str, Range] = field(default_factory=dict)

    def after_step(self, module: Any) -> None:
        """Nothing to make true again: what trains afterwards trains without them."""
