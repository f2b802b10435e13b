"""What goes into a model and comes out of it: its ports."""

from __future__ import annotations

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
    scale: tuple[float, int] | None = None
    """Scale and zero point of integers that stand for real numbers, `scale * (integer - zero point)`; None: they stand
    for themselves."""

    def __str__(self) -> str:
        return f"{self.name} {shown(self.shape)}"

    def takes(self, shape: Sequence[int | str | None]) -> bool:
        """Whether a shape is of its rank, and of its sizes where they are fixed."""
        return len(shape) == len(self.shape) and all(
            want == have for want, have in zip(self.shape, shape, strict=True) if isinstance(want, int)
        )


def shown(shape: Sequence[int | str | None]) -> str:
    """A shape in words: [N, 3, 32, 32]."""
    return f"[{', '.join('N' if size is None else str(size) for size in shape)}]"


def of_examples(inputs: Iterable[Port]) -> list[Port]:
    """Those that examples feed."""
    return [port for port in inputs if port.constant is None]


def types(ports: Iterable[Port]) -> dict[str, str]:
    """The element type of each, by name."""
    return {port.name: port.dtype for port in ports}


def batch_size(inputs: Sequence[Port]) -> int | None:
    """The batch that a model insists on; None when it takes any."""
    first = {port.shape[0] for port in of_examples(inputs) if port.shape}
    fixed = {size for size in first if isinstance(size, int)}
    return fixed.pop() if len(fixed) == 1 else None


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
