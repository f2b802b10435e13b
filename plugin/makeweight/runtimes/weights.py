"""The weights of a model file, and the layers that read them: what techniques read and change of a model whose source
nobody has, without knowing what kind of file it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from makeweight.artifact.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Stored:
    """A weight as it lies in the file, however many read it."""

    layers: tuple[str, ...]
    """Those that read it, by what they are called in `Weights.layers`."""
    shape: tuple[int, ...]
    summed: int | None
    """The axis along which they sum; None where they differ in it."""
    together: int | None = None
    """How many neighbours along it are of one sum, where not all are: of a transposed convolution, the inputs of one of
    its groups."""


@dataclass(frozen=True)
class Layer:
    """What a layer multiplies with, in one form for all kinds."""

    weight: NDArray[Any]
    """[groups, outputs of one, inputs of one, places along each axis of the kernel]; a linear layer has no kernel, and
    a table of vectors multiplies, as it were, with the place that is looked up."""
    transposed: bool = False
    """Of a convolution, whether it spreads its inputs rather than gathers them."""
    table: bool = False
    sizes: tuple[Sequence[int], Sequence[int]] = ((), ())
    """Along each axis of the kernel, the size of what the layer is given and of what it gives; where these are not
    known, numbers in the same ratio."""


def convolution(
    weight: NDArray[Any], groups: int, transposed: bool, sizes: tuple[Sequence[int], Sequence[int]] = ((), ())
) -> Layer:
    """That of a convolution.

    Args:
        weight: as files and modules have it: [outputs, inputs of a group, kernel]; of a transposed one, [inputs,
            outputs of a group, kernel].
    """
    parts = weight.reshape(groups, -1, *weight.shape[1:])
    return Layer(parts.swapaxes(1, 2) if transposed else parts, transposed, sizes=sizes)


def turned(weight: Any, groups: int) -> Any:
    """The weight of a convolution, an array or a tensor, as a transposed one has it; or the other way round."""
    parts = weight.reshape(groups, -1, *weight.shape[1:]).swapaxes(1, 2)
    return parts.reshape(-1, *parts.shape[2:])


@dataclass(frozen=True)
class Factor:
    """One of several thinner layers in a row."""

    weight: NDArray[Any]
    """[outputs, inputs of a group, places along each axis of the kernel], also of a transposed convolution."""
    axes: tuple[int, ...]
    """Along which axes of the kernel it moves as the layer did: with its stride, padding and dilation. Along the others
    it is one place wide, and passes on what it is given."""


class Weights(Protocol):
    """Of one model file, which is left as it is: changes are made on a copy in memory, and saved."""

    @property
    def layers(self) -> Mapping[str, Sequence[str]]:
        """The layers that have a weight which can be changed, with all names by which a recipe may mean each."""
        ...

    @property
    def stored(self) -> Mapping[str, Stored]:
        """The weights of these layers, with more than one axis, by their names in the file."""
        ...

    @property
    def kept(self) -> Mapping[str, str]:
        """Why the other layers that have weights are not reached, by layer."""
        ...

    def values(self, name: str) -> NDArray[Any]:
        """A weight in float32, or in float64 where the file has that."""

    def give(self, name: str, values: NDArray[Any]) -> None:
        """Put other values into a weight, for all that read it, rounded to the type that the file has it in."""

    def layer(self, name: str) -> Layer | str:
        """A layer whose weight thinner ones could stand for; else why they cannot."""

    def put(self, name: str, factors: Sequence[Factor]) -> None:
        """Put a row of thinner layers in a layer's place. Of a recurrence they stand for what it multiplies its inputs
        with, and the last of them is part of it."""

    def save(self, target: Path) -> Model:
        """The changed model, with the ports that it had.

        Raises:
            RecipeFailed: it cannot be saved as one file.
            UsageError: the runtime cannot read it back.
        """


@runtime_checkable
class Editing(Protocol):
    """A runtime whose files can be changed so."""

    def weights(self, model: Model) -> Weights:
        """Raises:
        UsageError: see `Runtime.open`.
        """
