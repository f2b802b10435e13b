"""Layers as a recipe names them: a module's or node's own name, a part of the model that holds it, or a pattern."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

# How many names are told where one fits nothing.
_TOLD = 8


def named(patterns: Iterable[str], layers: Iterable[str]) -> list[str]:
    """Those of the layers that one of the patterns fits: `blocks.0` fits `blocks.0.attention` too, as the part of the
    model that it lies in, and `*.attention` fits by Unix's rules (https://docs.python.org/3/library/fnmatch.html)."""
    wanted = list(patterns)
    return [layer for layer in layers if any(fits(pattern, layer) for pattern in wanted)]


def fits(pattern: str, layer: str) -> bool:
    """Whether a name or pattern means this layer; a name is dotted (a module) or a path (a node within its module)."""
    return any(fnmatchcase(name, pattern) for name in _names(layer))


def unfit(pattern: str, layers: Sequence[str]) -> str:
    """What is said of a pattern that fits nothing."""
    near = get_close_matches(pattern, layers, _TOLD, 0.3)
    return f"`{pattern}` fits no layer; there are {told_of([*near, *(name for name in layers if name not in near)])}"


def told_of(layers: Sequence[str]) -> str:
    """The first of them, so that a reader sees how layers are called here."""
    return ", ".join(layers[:_TOLD]) + (", …" if len(layers) > _TOLD else "")


def _names(layer: str) -> Iterator[str]:
    """Its own, and those of all parts that hold it."""
    yield layer
    parts = layer.split("/")
    for index, part in enumerate(parts):
        yield "/".join(parts[: index + 1])
        dotted = part.split(".")
        yield from (".".join(dotted[: length + 1]) for length in range(len(dotted)))
