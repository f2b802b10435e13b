"""What a program is that times a model by itself: the words that call it, and what its words mean."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

Size = int | str | None
"""Of an axis: a number, or free, by a name or without one."""


class Garbage(Exception):
    """What a program printed cannot be made sense of; the message says which part."""


class CannotRun(Exception):
    """A program cannot be told to run a model as it was asked; the message says what it lacks."""


@dataclass(frozen=True)
class Asked:
    """What a program is to time. Paths are those of the device."""

    model: str
    threads: int
    runs: int
    """Inferences that are to count."""
    result: str
    """A file that it may write to; what is in it afterwards stands behind all that was printed."""
    ports: Mapping[str, tuple[Size, ...]]
    """The model's inputs, as its file has them."""
    sizes: Mapping[str, tuple[int, ...]]
    """What they are to be."""


@dataclass(frozen=True)
class Told:
    """What one run of a program said."""

    times: tuple[float, ...]
    """Wall time in ns: of each inference, or one mean where the program tells no more."""
    averaged: int = 1
    """How many inferences a time is the mean of."""
    memory: Mapping[str, int] | None = None
    """Peaks over the memory that it had at its beginning, in bytes: of `load` and of `run`. None: it does not tell."""
    step: float = 0.0
    """By how many ns its times go, as far as it writes them out; 0: too small to matter."""


class Program(Protocol):
    """A program of a runtime's own."""

    name: str
    """What its makers call it."""
    feeds: str
    """What it feeds a model with, in words."""
    memory: str
    """How it has the memory that it tells, or why it tells none, in words."""

    def words(self, binary: str, asked: Asked) -> list[str]:
        """The words that call it.

        Raises:
            CannotRun: it cannot be told the sizes that are asked for.
        """

    def told(self, printed: str, runs: int) -> Told:
        """What it said.

        Raises:
            Garbage: nothing that it is known to say.
        """


def free(asked: Asked) -> list[tuple[str, Size, int]]:
    """The sizes that a model's file leaves free: input, name of the size, and what it is to be."""
    found: list[tuple[str, Size, int]] = []
    for name, shape in asked.ports.items():
        sizes = asked.sizes.get(name, ())
        if len(sizes) == len(shape):
            found += [(name, size, wanted) for size, wanted in zip(shape, sizes, strict=True) if not _fixed(size)]
    return found


def _fixed(size: Size) -> bool:
    return isinstance(size, int) and size >= 0


def checked(times: Sequence[float], said: str) -> tuple[float, ...]:
    """Times, none of which is NaN, infinite or negative; nought is a clock's affair.

    Args:
        said: what they were read from, for the message.

    Raises:
        Garbage: one is.
    """
    for value in times:
        if not math.isfinite(value) or value < 0:
            raise Garbage(f"no time stands in `{shortened(said)}`")
    return tuple(times)


def shortened(text: str) -> str:
    """A line of somebody else's for a message: printable, and not too long."""
    line = "".join(letter if letter.isprintable() else "?" for letter in text.strip())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


_LONGEST = 120
