"""What a runtime offers at home: to lower a model into its files, to look into them, to run them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from makeweight.artifact.model import Model
from makeweight.artifact.ports import Feeds, Shape, Shapes
from makeweight.runtimes.format import Format, SourceKind
from makeweight.runtimes.integers import Integers
from makeweight_base.errors import UsageError
from makeweight_probe.session import Session as Session


class RecipeFailed(Exception):
    """A recipe cannot be carried out on this model, now or at the next try.

    It becomes data (a manifest whose status is `failed`), so that the other variants go on.
    """


def read_made(read: Callable[[Path], Model], path: Path) -> Model:
    """The model that a recipe has written.

    Raises:
        RecipeFailed: the runtime cannot read it.
    """
    try:
        return read(path)
    except UsageError as error:
        raise RecipeFailed(f"the runtime refuses what the recipe made: {error.what}") from error


class Examples(Protocol):
    """Calibration examples: the runtime says in which batches it wants them. In one batch all have one shape."""

    def feeds(self, size: int) -> Iterator[Feeds]: ...


@dataclass(frozen=True)
class Program:
    """A module as it is lowered."""

    module: Any
    """A torch.nn.Module in eval mode, called with its inputs as `inputs.py` says; or a torch.export program."""
    inputs: Mapping[str, Shape]
    """Declared shapes by input name; a letter is a size that stays free."""
    example: Feeds
    """Real arrays by input name."""
    left: Mapping[str, Any] = field(default_factory=dict)
    """What the recipe's steps left behind, by technique: masks, codebooks, learned ranges."""
    largest: Mapping[str, int] = field(default_factory=dict)
    """What a size that stays free, besides the batch, is at most, by its letter; those that are declared."""


LayerKind = Literal["convolution", "product", "table", "recurrence", "other"]
"""What a weight is for: `table` are vectors that are looked up; `other` is read by none of these."""


@dataclass(frozen=True)
class LayerFacts:
    """What one layer of a model file stores and costs."""

    name: str
    """By which a format's exceptions know it."""
    kind: LayerKind
    bytes: int
    """Of the weights that it reads; those that several read are the first one's."""
    macs: int | None = None
    """Multiply-accumulates in one inference; None where they are not known."""


@dataclass(frozen=True)
class GraphFacts:
    """What a model holds, and what the runtime makes of it; None where a delegate hides it."""

    parameters: int | None = None
    macs: int | None = None
    """Multiply-accumulates for one example; the mean over those that the model was asked with, where it was."""
    operators: Mapping[str, int] = field(default_factory=dict)
    """Nodes by type in the graph as the runtime optimised it. What a delegate computes stands under its name
    (`XNNPACK:CONV_2D`); where there is a delegate, the others are those that fell back to the runtime's own kernels."""
    delegate: str | None = None
    """What operators are handed to, whether it took any or none; None: the runtime hands them to nobody."""
    quantized: int | None = None
    """Compute nodes (convolutions, products) that run on integers there."""
    floating: int | None = None
    """Compute nodes that still run on floating point there."""
    layers: tuple[str, ...] = ()
    """The compute nodes of the file that are integers, by names that a format's exceptions know them by."""
    weighed: tuple[LayerFacts, ...] = ()
    """Where the bytes are, layer by layer, in the order of the graph; none where a runtime does not tell."""

    def figures(self) -> dict[str, Any]:
        """What a manifest keeps of it."""
        return {name: value for name, value in asdict(self).items() if name not in ("layers", "weighed")}


class Runtime(Protocol):
    """One inference engine. One whose files techniques can change is `weights.Editing` too."""

    name: ClassVar[str]
    suffix: ClassVar[str]
    """Of the file that it opens."""
    channel_multiple: ClassVar[int]
    """Channel counts it is fast at are multiples of this: pruning rounds to it."""
    packages: ClassVar[tuple[str, ...]]
    """What opens and writes its files: their versions go into the manifest."""
    exporters: ClassVar[tuple[str, ...]]
    """What it takes besides to lower a module."""

    def version(self) -> str | None:
        """None where it is not installed."""

    def objection(self, format: Format, source: SourceKind) -> str | None:
        """Why it does not offer a number format, of a module or of a file of its own; None where it does. Pure: it is
        asked when the configuration is read."""

    def read(self, path: Path) -> Model:
        """The model that begins with this file, with all that belongs to it.

        Raises:
            UsageError: the file is missing or damaged, or a part of it lies outside its folder.
        """

    def open(self, model: Model, threads: int = 1) -> Session:
        """Raises:
        UsageError: the file is damaged, or holds an operator the runtime does not know.
        """

    def lower(
        self,
        source: Program | Model,
        format: Format,
        calibration: Examples | None,
        target: Path,
        notes: dict[str, Any] | None = None,
    ) -> Model:
        """Write `source` in `format` as a model whose first file is `target`. Two runs give the same bytes where the
        engine allows it. The model of a program has its inputs' names, in their order.

        Args:
            source: a module, or a model of this runtime, which is left as it is.
            calibration: where the format `calibrates`, examples in any float precision.
            notes: hears what is worth keeping in the manifest, such as what stays in floating point and why.

        Raises:
            UsageError: the module cannot be lowered (the message names the operator or the line), or the examples do
                not fit it.
            RecipeFailed: the format changes nothing, or cannot be had of this model.
        """

    def integers(self, source: Program, format: Format, calibration: Examples) -> Integers:
        """What of a module would be integers in `format`, whose ranges are learned: what `lower` makes, and what a
        training simulates. Asked of a runtime that offers such a format alone.

        Raises:
            UsageError, RecipeFailed: see `lower`.
        """

    def reason(self, error: Exception) -> str:
        """What an error in a session's run says, on one line.

        Raises:
            OSError, MemoryError: that is what it means: the machine failed, not the model.
        """

    def inspect(self, model: Model, asked: Sequence[Shapes] = ()) -> GraphFacts:
        """Count what is in a model and in its optimised graph.

        Args:
            asked: the inputs' shapes of each inference that it is measured with. Where sizes are free, what one example
                costs is known from them alone.

        Raises:
            UsageError: see `open`.
        """
