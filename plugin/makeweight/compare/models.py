"""Two model files that take the same inputs, each read by the runtime whose files end so."""

from __future__ import annotations

from pathlib import Path

from makeweight import registry
from makeweight.artifact.kind import absent, kind_of
from makeweight.artifact.model import Model
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


def refuse_different_inputs(a: Model, b: Model) -> None:
    """Raises:
    UsageError: they take no inputs, or not the same.
    """
    for model in (a, b):
        if not model.inputs:
            raise UsageError("the model has no input, so there is nothing to feed it with", where=str(model.path))
    if _fixed(a) != _fixed(b):
        raise UsageError(
            f"{a.path.name} takes {_signature(a)}, and {b.path.name} takes {_signature(b)}",
            do="Only models with the same inputs can be compared.",
        )


def _fixed(model: Model) -> set[object]:
    """Its inputs as far as they are fixed: what a free size is called does not matter."""
    return {(p.name, tuple(s if isinstance(s, int) else None for s in p.shape), p.dtype) for p in model.inputs}


def _signature(model: Model) -> str:
    return ", ".join(str(port) for port in model.inputs)
