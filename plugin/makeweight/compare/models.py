"""Two model files that take the same inputs, each read by the runtime whose files end so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from makeweight import registry
from makeweight.artifact.kind import absent, kind_of
from makeweight.artifact.model import Model
from makeweight.artifact.ports import Port, Shape
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
    if path.is_dir():
        raise UsageError("this is a folder, not a model file", where=str(path))
    if not path.exists():
        what, do = absent(path)
        raise UsageError(what, where=str(path), do=do)
    there = ", ".join(f"{registry.load('runtime', name).suffix} ({name})" for name in registry.names("runtime"))
    found = kind_of(path)
    which = "no runtime here has files that end so" if found is None else f"this is {found.what}"
    raise UsageError(f"{which}; there is {there}", where=str(path))


def shared_inputs(a: Model, b: Model) -> list[Port]:
    """The inputs that both take, each as far as one of the two fixes it. Float types may differ.

    Raises:
        UsageError: they take no inputs, or not the same.
    """
    for model in (a, b):
        if not model.inputs:
            raise UsageError("the model has no input, so there is nothing to feed it with", where=str(model.path))
    others = {port.name: port for port in b.inputs}
    if set(others) != {port.name for port in a.inputs} or not all(_agree(port, others[port.name]) for port in a.inputs):
        raise UsageError(
            f"{a.path.name} takes {_signature(a)}, and {b.path.name} takes {_signature(b)}",
            do="Only models with the same inputs can be compared.",
        )
    return [replace(port, shape=_shape(port, others[port.name])) for port in a.inputs]


def _agree(one: Port, other: Port) -> bool:
    floats = all(port.dtype.startswith("float") for port in (one, other))
    same_rank = len(one.shape) == len(other.shape)
    return same_rank and one.takes(_shape(one, other)) and (floats or one.dtype == other.dtype)


def _shape(one: Port, other: Port) -> Shape:
    return tuple(map(_size, one.shape, other.shape))


def _size(one: int | str | None, other: int | str | None) -> int | str | None:
    """The number, if one of the two is, else a name."""
    return other if isinstance(other, int) or one is None else one


def _signature(model: Model) -> str:
    return ", ".join(f"{port} {port.dtype}".rstrip() for port in model.inputs)
