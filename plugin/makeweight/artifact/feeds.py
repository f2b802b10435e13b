"""Arrays that fit a model's ports. Apart from these, as most verbs read what a model's ports are and load no array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.artifact.ports import Feeds, Port, Shape, of_examples, shown
from makeweight_base.errors import UsageError

_WHERE = "makeweight.yaml: model.inputs"
_CONVERT = "Convert in the loader; makeweight does not guess a scale."


def fit(inputs: Sequence[Port], feeds: Feeds, first: int | None = None) -> Feeds:
    """Feeds in the types that the model asks for, with what it is always fed with besides. Real numbers for integers
    that stand for such become these, by the scale that the model has for them.

    Args:
        first: the number of the first example, for errors.

    Raises:
        UsageError: an input is missing, has another rank or size, or would lose more than precision; or a size that is
            one by its name is two.
    """
    constants = {port.name for port in inputs if port.constant is not None}
    asked = {port.name: port for port in of_examples(inputs)}
    given = {name: values for name, values in feeds.items() if name not in constants}
    if set(asked) != set(given):
        raise UsageError(
            f"the model's inputs are {', '.join(asked)}, and the data have {', '.join(given)}",
            where=_WHERE,
            do="Name the inputs as the model does.",
        )
    for name, port in asked.items():
        if not port.takes(given[name].shape):
            raise UsageError(
                f"input `{name}` wants shape {shown(port.shape)}, and the data have {list(given[name].shape)}",
                where=_WHERE,
                do="Mend the loader's shape (one example has no batch dimension), or the model's inputs.",
            )
    sizes = named_sizes({name: (port.shape, given[name].shape) for name, port in asked.items() if port.ranked}, first)
    found = {
        port.name: _converted(port, given[port.name]) if port.constant is None else _spread(port, sizes)
        for port in inputs
    }
    return {name: np.asarray(values, order="C") for name, values in found.items()}


def handed_on(feeds: Feeds, inputs: Sequence[Port], others: Sequence[Port]) -> Feeds:
    """What one model is fed with, for another with inputs of the same names; `fit` then has it in the types of that.
    Integers become the real numbers that they stand for, unless the other takes these very integers.

    Args:
        inputs: of the model that is fed with them.
        others: of the other one.
    """
    found, wanted = dict(feeds), {port.name: port for port in others}
    for port in inputs:
        other = wanted.get(port.name)
        if port.scale is None or other is None or (other.dtype, other.scale) == (port.dtype, port.scale):
            continue
        if other.scale is not None or np.dtype(other.dtype or "float32").kind == "f":
            found[port.name] = _real(feeds[port.name], *port.scale)
    return found


def named_sizes(shapes: Mapping[str, tuple[Shape, tuple[int, ...]]], first: int | None = None) -> dict[str, int]:
    """What the named sizes are, of inputs' shapes and those of their arrays.

    Args:
        first: the number of the first example, for errors.

    Raises:
        UsageError: one is two.
    """
    sizes: dict[str, int] = {}
    places: dict[str, str] = {}
    for name, (wanted, given) in shapes.items():
        for axis, (letter, size) in enumerate(zip(wanted, given, strict=True)):
            if not isinstance(letter, str):
                continue
            place = f"axis {axis} of `{name}` {list(given)}"
            if sizes.setdefault(letter, size) != size:
                example = "" if first is None else f"in example {first}, "
                raise UsageError(
                    f"{example}`{letter}` is {sizes[letter]} ({places[letter]}) and {size} ({place}), and a letter is "
                    "one size over all inputs",
                    where=_WHERE,
                    do="Mend the loader, or give the two sizes letters of their own.",
                )
            places.setdefault(letter, place)
    return sizes


def _converted(port: Port, values: NDArray[Any]) -> NDArray[Any]:
    if not port.dtype or values.dtype == port.dtype:
        return values
    if port.scale is not None and values.dtype.kind == "f":
        return _quantized(port.name, values, *port.scale, np.dtype(port.dtype))
    # integers of one width or sign are those of another, if they fit
    whole = values.dtype.kind in "iu" and np.dtype(port.dtype).kind in "iu"
    if not (whole or np.can_cast(values.dtype, port.dtype, casting="same_kind")):
        raise UsageError(
            f"input `{port.name}` wants {port.dtype}, and the data are {values.dtype.name}",
            where="the data loader",
            do=_CONVERT,
        )
    return _cast(port.name, values, port.dtype)


def padded(feeds: Feeds, size: int) -> Feeds:
    """A batch, filled up by repeating its last example; the answers to the filling are thrown away."""
    if len(next(iter(feeds.values()))) == size:
        return feeds
    return {
        name: np.concatenate([values, np.repeat(values[-1:], size - len(values), axis=0)])
        for name, values in feeds.items()
    }


def _real(values: NDArray[Any], scale: float, zero: int) -> NDArray[Any]:
    real: NDArray[Any] = ((values.astype(np.float64) - zero) * scale).astype(np.float32)
    return real


def _quantized(name: str, values: NDArray[Any], scale: float, zero: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The nearest of the integers that stand for real numbers; what is beyond them all is the outermost, as in the
    runtime's own operator. Halves go away from zero: https://ai.google.dev/edge/litert/models/quantization_spec"""
    if np.isnan(values).any():
        raise UsageError(
            f"input `{name}` holds NaN, and the model takes {dtype.name}, which has none", where="the data loader"
        )
    steps = values.astype(np.float32) / np.float32(scale)
    nearest = np.trunc(steps + np.copysign(np.float32(0.5), steps)) + zero
    limits = np.iinfo(dtype)
    quantized: NDArray[Any] = np.clip(nearest, limits.min, limits.max).astype(dtype)
    return quantized


def _cast(name: str, values: NDArray[Any], dtype: str) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        cast: NDArray[Any] = values.astype(dtype)
    kept = np.isfinite(cast).all() if cast.dtype.kind == "f" else np.array_equal(cast, values)
    if not kept:
        raise UsageError(
            f"input `{name}` wants {dtype}, and the data have numbers beyond it (up to {values.max():g})",
            where="the data loader",
            do=_CONVERT,
        )
    return cast


def _spread(port: Port, sizes: Mapping[str, int]) -> NDArray[Any]:
    """A constant over the whole of an input."""
    # a size that no example gives is one that only this input has: the one who declares it is asked for it before
    shape = [size if isinstance(size, int) else sizes.get(str(size), 1) for size in port.shape]
    values = np.asarray(port.constant)
    if port.scale is not None:
        values = _quantized(port.name, values.astype(np.float32), *port.scale, np.dtype(port.dtype))
    return np.broadcast_to(values if not port.dtype else values.astype(port.dtype), shape)
