"""Two model files that take the same inputs, each read by the runtime whose files end so."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from makeweight import registry
from makeweight.artifact.kind import kind_of, no_file
from makeweight.artifact.matching import Match, matched
from makeweight.artifact.model import Model
from makeweight.artifact.ports import Port
from makeweight.runtimes.runtime import Runtime
from makeweight_base.errors import UsageError


def runtime_of(path: Path) -> Runtime:
    """The runtime of a file, by its suffix.

    Raises:
        UsageError: no runtime has such files.
    """
    name = registry.runtime_of(path.suffix)
    if name is not None:
        runtime: Runtime = registry.ready("runtime", name)()
        return runtime
    if path.is_dir() or not path.exists():
        raise no_file(path, "a model file")
    found = kind_of(path)
    there = ", ".join(f"{suffix} ({name})" for suffix, name in registry.suffixes().items())
    which = "no runtime here has files that end so" if found is None else f"this is {found.what}"
    raise UsageError(f"{which}; there is {there}", where=str(path), do=None if found is None else found.do)


@dataclass(frozen=True)
class Shared:
    """The inputs of two models as one."""

    ports: list[Port]
    """In the names and layout of the first, each as far as one of the two fixes it."""
    matches: list[Match]
    """The second's inputs that they are, which may have other names and lie otherwise."""

    @property
    def told(self) -> list[str]:
        """What is not plain about them, for people."""
        return [line for match in self.matches for line in (*match.told, *_scaled(match))]


def shared_inputs(a: Model, b: Model) -> Shared:
    """The inputs that both take: by name, else by order; layouts may differ, how many bits a number has, and the
    integers that stand for real numbers.

    Raises:
        UsageError: they take no inputs, or not the same.
    """
    for model in (a, b):
        if not model.inputs:
            raise UsageError("the model has no input, so there is nothing to feed it with", where=str(model.path))
    found = [match for match in matched(a.inputs, b.inputs) if match is not None and _agree(match)]
    if len(found) != len(a.inputs) or len(found) != len(b.inputs):
        raise UsageError(
            f"{a.path.name} takes {_signature(a)}, and {b.path.name} takes {_signature(b)}",
            do="Only models with the same inputs can be compared.",
        )
    return Shared([_of_both(each) for each in found], found)


def _agree(match: Match) -> bool:
    """Whether numbers for the one are numbers for the other: of integers and floats only where a scale is known."""
    return match.fits and (_kind(match.port) == _kind(match.other) or _real(match))


def _real(match: Match) -> bool:
    """Whether both take real numbers, and one has integers for them that are not the other's."""
    ports = (match.port, match.other)
    real = all(port.scale is not None or _kind(port) == "f" for port in ports)
    scaled = any(port.scale is not None for port in ports)
    return real and scaled and len({(port.dtype, port.scale) for port in ports}) > 1


def _kind(port: Port) -> str:
    """Of its numbers, as numpy calls it; "" where nobody knows."""
    return np.dtype(port.dtype).kind if port.dtype else ""


def _as_fed(match: Match) -> Port:
    if _real(match):
        return replace(match.port, dtype="float32", scale=None)
    # what only one of them has a scale for are the same integers to both
    return match.port if match.other.scale == match.port.scale else replace(match.port, scale=None)


def _scaled(match: Match) -> list[str]:
    if not _real(match):
        return []
    told = [
        f"{port.dtype} by its scale {port.scale[0]:g} and zero point {port.scale[1]}" if port.scale else port.dtype
        for port in (match.port, match.other)
    ]
    return [f"`{match.port.name}` is fed as real numbers: here {told[0]}, there {told[1]}"]


def _of_both(match: Match) -> Port:
    """The two ports as one, of the shape that one of them alone may have."""
    fed = replace(_as_fed(match), bounded=match.port.bounded or match.other.bounded)
    if match.port.ranked and match.other.ranked:
        return replace(fed, shape=tuple(map(_size, match.port.shape, match.moved(match.other.shape))))
    return fed if match.port.ranked else replace(fed, shape=match.other.shape, ranked=match.other.ranked)


def _size(one: int | str | None, other: int | str | None) -> int | str | None:
    """The number, if one of the two is, else a name."""
    return other if isinstance(other, int) or one is None else one


def _signature(model: Model) -> str:
    return ", ".join(f"{port} {port.dtype}".rstrip() for port in model.inputs)
