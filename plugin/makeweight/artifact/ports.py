"""What goes into a model and comes out of it: its ports."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from makeweight_probe.session import Feeds as Feeds

if TYPE_CHECKING:
    from makeweight_probe.inputs import Axes

Shape = tuple[int | str | None, ...]
"""A size that is free is a name, the same for one size wherever it stands, or None where it has none."""

Shapes = Mapping[str, tuple[int, ...]]
"""Those of arrays, by name."""

Scale = tuple[float, int]
"""Scale and zero point of integers that stand for real numbers, `scale * (integer - zero point)`."""


@dataclass(frozen=True)
class Port:
    """An input or output. The first size of an input that examples feed is the batch."""

    name: str
    shape: Shape
    dtype: str
    """The element type as numpy names it (`float32`); "" for one that numpy has not."""
    constant: Any = None
    """A number, or nested tuples of them: what it is always fed with, spread over its shape (a state: 0). None: it is
    fed with examples."""
    scale: Scale | None = None
    """None: integers stand for themselves."""
    ranked: bool = True
    """Of an input, whether it is known how many axes it has; else its shape is empty, and any array may fit."""
    bounded: bool = False
    """Of an input, whether its numbers are sizes at most, any of which may be free: nothing tells which are."""

    def __str__(self) -> str:
        return f"{self.name} {shown(self.shape) if self.ranked else '[...]'}"

    def takes(self, shape: Sequence[int | str | None]) -> bool:
        """Whether a shape is of its rank, and of its sizes where they are fixed; of one that is bounded, whether that
        may be so."""
        if not self.ranked:
            return True
        return len(shape) == len(self.shape) and all(
            want == have or (self.bounded and (not isinstance(have, int) or have < want))
            for want, have in zip(self.shape, shape, strict=True)
            if isinstance(want, int)
        )


def shown(shape: Sequence[int | str | None]) -> str:
    """A shape in words: [N, 3, 32, 32]."""
    return f"[{', '.join('N' if size is None else str(size) for size in shape)}]"


def of_examples(inputs: Iterable[Port]) -> list[Port]:
    """Those that examples feed."""
    return [port for port in inputs if port.constant is None]


def types(ports: Iterable[Port]) -> dict[str, tuple[str, Scale | None]]:
    """By name, how each has its numbers: the element type, and by which scale integers stand for real numbers. The same
    byte is another number by another scale."""
    return {port.name: (port.dtype, port.scale) for port in ports}


def batch_size(inputs: Sequence[Port]) -> int | None:
    """The batch that a model insists on; None when it takes any."""
    first = {port.shape[0] for port in of_examples(inputs) if port.shape}
    fixed = {size for size in first if isinstance(size, int)}
    return fixed.pop() if len(fixed) == 1 else None


# What exporters and those who call them name the batch; no other size has such a name.
_BATCH = re.compile(r"batch(_?size)?", re.IGNORECASE)


def batch_elsewhere(port: Port) -> str | None:
    """Why the examples of an input cannot be put together along its first axis: a later one has the name of the batch.
    None: none has, or no examples feed it."""
    named = [axis for axis, size in enumerate(port.shape) if isinstance(size, str) and _BATCH.fullmatch(size)]
    if port.constant is not None or not named or named[0] == 0:
        return None
    return (
        f"input `{port.name}` {shown(port.shape)} has its batch in place {named[0] + 1}, as its sizes are named, and "
        "examples are put together along the first"
    )


def unknown_rank(port: Port) -> str:
    """What is to be told of an input that is not `ranked`."""
    return f"input `{port.name}` has no shape in the file, which does not even say how many axes it has"


def free_sizes(inputs: Iterable[Port]) -> list[str]:
    """The sizes that may differ between examples, in words: what a model costs differs with them."""
    return [
        f"{size or '?'} of `{port.name}`"
        for port in of_examples(inputs)
        for size in port.shape[1:]
        if not isinstance(size, int)
    ]


def batch_axes(inputs: Sequence[Port]) -> Axes:
    """Along which axis the examples of a batch lie, of the inputs that they do not feed; of all others it is the
    first."""
    batches = {port.shape[0] for port in of_examples(inputs) if port.shape} - {None}
    return {
        port.name: next((axis for axis, size in enumerate(port.shape) if size in batches), None)
        for port in inputs
        if port.constant is not None
    }
