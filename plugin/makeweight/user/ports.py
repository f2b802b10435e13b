"""The inputs of the user's model as makeweight.yaml declares them: free sizes by name, constants, states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from makeweight.artifact.model import Model
from makeweight.artifact.ports import Port, Shape, batch_elsewhere, of_examples, shown, unknown_rank
from makeweight.config.settings import ModelSettings
from makeweight.layout import CONFIG
from makeweight_base.errors import UsageError

# What the batch is called where neither the file nor makeweight.yaml has a name for it.
_BATCH = "N"


def of_module(model: ModelSettings) -> tuple[Port, ...]:
    """Of a PyTorch module, of which nobody knows more than is declared: the types that examples have are taken."""
    named = {name: tuple(shape) for name, shape in model.inputs.items()}
    others = {name: np.shape(value) for name, value in model.constants.items() if name not in named}
    constants = _constants(model)
    return tuple(
        Port(name, shape, _dtype(model, name), constants.get(name)) for name, shape in {**named, **others}.items()
    )


def of_steps(model: ModelSettings) -> tuple[Port, ...]:
    """Those of a module while steps are at work on it: a batch that is declared as a number is the file's alone, and a
    training has as many examples in a step as it asks for. Not beside states, of which nobody knows where it stands."""
    ports = of_module(model)
    if model.states:
        return ports
    return tuple(
        replace(port, shape=(_BATCH, *port.shape[1:]))
        if port.constant is None and isinstance(port.shape[0], int)
        else port
        for port in ports
    )


def as_declared(model: Model, declared: ModelSettings) -> Model:
    """A model with its inputs as they are declared.

    Raises:
        UsageError: it has other inputs or sizes, or a constant or a state does not fit it.
    """
    _refuse_others(model.inputs, declared)
    constants = _constants(declared)
    inputs = [
        replace(_of_shape(port, _declared_shape(port, declared)), constant=constants.get(port.name))
        for port in model.inputs
    ]
    _refuse_without_batch(inputs)
    batch = _batch(inputs)
    inputs = [replace(port, shape=_with_batch(port, inputs, batch)) for port in inputs]
    for port in inputs:
        if port.name not in declared.inputs and (told := batch_elsewhere(port)) is not None:
            raise UsageError(
                told,
                where=str(declared.file or CONFIG),
                do="Export it with the batch first. If the first size is the batch all the same, say so: "
                f"`inputs: {{{port.name}: [N, …]}}` under `model`.",
            )
        if port.name in declared.constants:
            _refuse_misfit(port)
    return replace(model, inputs=tuple(inputs))


def fed_names(names: Sequence[str], model: ModelSettings) -> tuple[str, ...]:
    """Those inputs that examples feed."""
    return tuple(name for name in names if name not in model.constants and name not in model.states)


def _constants(model: ModelSettings) -> dict[str, Any]:
    return {**dict.fromkeys(model.states, 0), **{name: _frozen(value) for name, value in model.constants.items()}}


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def _dtype(model: ModelSettings, name: str) -> str:
    """Of a constant as it is written, of a state float32; "": of what examples have."""
    if name in model.constants:
        kind = np.asarray(model.constants[name]).dtype
        return "float32" if kind.kind == "f" else kind.name
    return "float32" if name in model.states else ""


def _refuse_others(ports: Sequence[Port], declared: ModelSettings) -> None:
    names = [port.name for port in ports]
    wanted = dict.fromkeys([*declared.inputs, *declared.constants, *declared.states])
    unknown = [name for name in wanted if name not in names]
    missing = [name for name in names if name not in wanted] if declared.inputs else []
    if unknown or missing:
        raise UsageError(
            f"the model's inputs are {', '.join(names)}, and {', '.join(wanted)} are declared",
            where=str(declared.file or CONFIG),
            do=f"Mend `model.inputs` in {CONFIG}.",
        )


def _of_shape(port: Port, shape: Shape) -> Port:
    """An input whose shape is known now."""
    return replace(port, shape=shape, ranked=True, bounded=False)


def _declared_shape(port: Port, declared: ModelSettings) -> Shape:
    if port.name not in declared.inputs:
        if port.ranked:
            return port.shape
        if port.name in declared.constants:
            shape: Shape = np.shape(declared.constants[port.name])
            return shape
        raise UsageError(
            unknown_rank(port),
            where=str(declared.file or CONFIG),
            do=f"Declare it in {CONFIG}: `inputs: {{{port.name}: [N, …]}}` under `model`, N for the batch.",
        )
    shape = tuple(declared.inputs[port.name])
    own = next(iter(port.shape), None)
    if declared.file is None and isinstance(own, int) and isinstance(next(iter(shape), None), str):
        shape = (own, *shape[1:])  # the runtime could not leave the module's batch free
    if not port.takes(shape):
        raise UsageError(
            f"input `{port.name}` has shape {shown(port.shape)}, and is declared as {shown(shape)}",
            where=str(declared.file or CONFIG),
            do=f"Mend `model.inputs` in {CONFIG}.",
        )
    return shape


def _batch(inputs: Sequence[Port]) -> int | str:
    first = [port.shape[0] for port in of_examples(inputs) if port.shape]
    fixed = next((size for size in first if isinstance(size, int)), None)
    if fixed is not None:
        return fixed
    taken = {size for port in inputs for size in port.shape[1:]}
    return next((size for size in first if size is not None), _BATCH if _BATCH not in taken else "batch")


def _with_batch(port: Port, inputs: Sequence[Port], batch: int | str) -> Shape:
    """A shape in which the batch has its name (or its size): of a constant the one size that is free and else unknown.

    Raises:
        UsageError: which one it is is not clear.
    """
    if port.constant is None:
        first = port.shape[:1]
        return (batch, *port.shape[1:]) if first == (None,) else port.shape
    known = {size for each in of_examples(inputs) for size in each.shape if size is not None} | {batch}
    unknown = [index for index, size in enumerate(port.shape) if not isinstance(size, int) and size not in known]
    if np.ndim(port.constant) == len(port.shape):
        own = np.shape(port.constant)
        return tuple(own[index] if index in unknown else size for index, size in enumerate(port.shape))
    if len(unknown) > 1 or (unknown and isinstance(batch, str) and batch in port.shape):
        raise UsageError(
            f"of input `{port.name}` {shown(port.shape)} more sizes are free than the batch, and no example gives them",
            where=f"{CONFIG}: model.inputs",
            do=f"Declare it there, with `{batch}` for the batch and a number for every other size.",
        )
    return tuple(batch if index in unknown else size for index, size in enumerate(port.shape))


def _refuse_without_batch(inputs: Sequence[Port]) -> None:
    """Refuse inputs that examples feed and that have no batch, or not as the others have it."""
    asked = of_examples(inputs)
    if not asked:
        raise UsageError("no input is left for the examples", where=f"{CONFIG}: model")
    first = asked[0].shape[:1]
    odd = next(
        (port for port in asked if not port.shape or isinstance(port.shape[0], int) != isinstance(first[0], int)), None
    )
    if odd is None:
        return
    begins = f"begins with {odd.shape[0]}" if odd.shape else "is one number"
    raise UsageError(
        f"input `{odd.name}` {shown(odd.shape)} {begins}, and not with the batch as {asked[0]} does",
        where=f"{CONFIG}: model",
        do=f"Declare what it is fed with, `constants: {{{odd.name}: …}}`, or, being a state that begins with zeros, "
        f"`states: [{odd.name}]`.",
    )


def _refuse_misfit(port: Port) -> None:
    """Refuse a constant that its input cannot hold."""
    where, values = f"{CONFIG}: model.constants.{port.name}", np.asarray(port.constant)
    if port.dtype and port.scale is None:
        cast = values.astype(port.dtype)
        if not (np.isclose(cast, values).all() if cast.dtype.kind == "f" else np.array_equal(cast, values)):
            raise UsageError(f"{port.constant} is no {port.dtype}, which the model wants", where=where)
    sizes = [size if isinstance(size, int) else 1 for size in port.shape]
    try:
        fits = np.broadcast_shapes(values.shape, tuple(sizes)) == tuple(sizes)
    except ValueError:
        fits = False
    if not fits:
        raise UsageError(
            f"it has shape {list(values.shape)}, and the model's input {shown(port.shape)}",
            where=where,
            do="Give one number, or as many as its shape has.",
        )
