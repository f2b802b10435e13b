"""What goes into a model and comes out of it: its ports, and arrays that fit them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight_base.errors import UsageError
from makeweight_probe.session import Feeds as Feeds

_CONVERT = "Convert in the loader; makeweight does not guess a scale."


@dataclass(frozen=True)
class Port:
    """An input or output. In its shape a size that is free is a name, or None where it has none."""

    name: str
    shape: tuple[int | str | None, ...]
    dtype: str
    """The element type as numpy names it (`float32`); "" for one that numpy has not."""

    def __str__(self) -> str:
        return f"{self.name} {shown(self.shape)}"

    def takes(self, shape: Sequence[int | str]) -> bool:
        """Whether a shape is of its rank, and of its sizes where they are fixed."""
        return len(shape) == len(self.shape) and all(
            want == have for want, have in zip(self.shape, shape, strict=True) if isinstance(want, int)
        )


def shown(shape: Sequence[int | str | None]) -> str:
    """A shape in words: [N, 3, 32, 32]."""
    return f"[{', '.join('N' if size is None else str(size) for size in shape)}]"


def batch_size(inputs: Sequence[Port]) -> int | None:
    """The batch that a model insists on; None when it takes any."""
    first = {port.shape[0] for port in inputs if port.shape}
    fixed = {size for size in first if isinstance(size, int)}
    return fixed.pop() if len(fixed) == 1 else None


def fit(inputs: Sequence[Port], feeds: Feeds) -> Feeds:
    """Feeds in the types that the model asks for.

    Raises:
        UsageError: an input is missing, has another rank or size, or would lose more than precision.
    """
    ports = {port.name: port for port in inputs}
    if set(ports) != set(feeds):
        raise UsageError(
            f"the model's inputs are {', '.join(ports)}, and the data have {', '.join(feeds)}",
            where="makeweight.yaml: model.inputs",
            do="Name the inputs as the model does.",
        )
    fitted: Feeds = {}
    for name, port in ports.items():
        values = feeds[name]
        if not port.takes(values.shape):
            raise UsageError(
                f"input `{name}` wants shape {shown(port.shape)}, and the data have {list(values.shape)}",
                where="makeweight.yaml: model.inputs",
                do="Mend the loader's shape (one example has no batch dimension), or the model's inputs.",
            )
        if port.dtype and values.dtype != port.dtype:
            if not np.can_cast(values.dtype, port.dtype, casting="same_kind"):
                raise UsageError(
                    f"input `{name}` wants {port.dtype}, and the data are {values.dtype.name}",
                    where="the data loader",
                    do=_CONVERT,
                )
            values = _cast(name, values, port.dtype)
        fitted[name] = np.ascontiguousarray(values)
    return fitted


def padded(feeds: Feeds, size: int) -> Feeds:
    """A batch, filled up by repeating its last example; the answers to the filling are thrown away."""
    if len(next(iter(feeds.values()))) == size:
        return feeds
    return {
        name: np.concatenate([values, np.repeat(values[-1:], size - len(values), axis=0)])
        for name, values in feeds.items()
    }


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
