"""What a runtime offers at home: to export, to quantize, to look into its graphs, to run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from makeweight.artifact.model import Model
from makeweight.artifact.ports import Feeds

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Session(Protocol):
    """A loaded model."""

    def run(self, feeds: Feeds) -> list[NDArray[Any]]:
        """One inference: arrays by input name, batch first; outputs in the model's order."""


@dataclass(frozen=True)
class GraphFacts:
    """What a model file holds, and what the runtime makes of it."""

    parameters: int
    macs: int | None
    """Multiply-accumulates for one example; None when shapes are not known well enough."""
    operators: Mapping[str, int]
    """Nodes by type in the graph as the runtime optimised it."""
    quantized: int
    """Compute nodes (convolutions, products) that run on integers there."""
    floating: int
    """Compute nodes that still run on floating point there."""


@dataclass(frozen=True)
class Quantization:
    """How a graph is to be quantized, in terms that every runtime can serve."""

    method: Literal["static", "dynamic"]
    calibrate: Literal["minmax", "entropy", "percentile"]
    per_channel: bool


class Runtime(Protocol):
    """One inference engine."""

    name: ClassVar[str]
    suffix: ClassVar[str]
    """Of its model files."""
    channel_multiple: ClassVar[int]
    """Channel counts it is fast at are multiples of this: pruning rounds to it."""

    def version(self) -> str: ...

    def read(self, path: Path) -> Model:
        """The model that begins with this file, with all that belongs to it.

        Raises:
            UsageError: the file is missing or damaged, or a part of it lies outside its folder.
        """

    def open(self, model: Model, threads: int = 1) -> Session:
        """Raises:
        UsageError: the file is damaged, or holds an operator the runtime does not know.
        """

    def export(self, module: Any, inputs: Mapping[str, tuple[int | str, ...]], example: Feeds, path: Path) -> None:
        """Write a torch.nn.Module as a model file; the batch size stays free where `inputs` has a letter.

        Raises:
            UsageError: the module cannot be exported; the message names the operator or the line.
        """

    def quantize(self, source: Path, target: Path, how: Quantization, calibration: Iterable[Feeds]) -> None:
        """Write `source` with integer weights (and, for `static`, activations) to `target`.

        Raises:
            RecipeFailed: nothing in the graph can be quantized this way.
        """

    def to_float16(self, source: Path, target: Path) -> None:
        """Write `source` with half-precision weights and arithmetic to `target`; inputs and outputs keep their type.

        Raises:
            RecipeFailed: nothing in the graph can be converted.
        """

    def inspect(self, model: Model) -> GraphFacts:
        """Count what is in a model file and in its optimised graph."""
