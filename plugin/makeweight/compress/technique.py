"""What a technique is: a step that changes a model, or one that says in which numbers it is lowered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field

from makeweight.runtimes.format import Format, Hashed, SourceKind

if TYPE_CHECKING:
    from makeweight.artifact.model import Model
    from makeweight.artifact.ports import Port
    from makeweight.compress.checkpoints import Checkpoints
    from makeweight.compress.curves import Curves
    from makeweight.compress.stopwatch import Stopwatch
    from makeweight.compress.subject import Subject
    from makeweight.compress.training_options import TrainingOptions
    from makeweight.config.settings import TaskSettings
    from makeweight.runtimes.integers import Integers
    from makeweight.runtimes.weights import Weights
    from makeweight.user.split import Change, Split
    from makeweight_base.progress import Progress


Effect = Literal["trains", "changes", "masks", "ties", "hashes", "replaces"]
"""What a step does to a model: other weights alone, which makes nothing smaller; another form; weights that are zero or
that share values from then on, so that the form has to stay (whatever their values were, if a hash says which: these
are to be learned); or another model in its place, so that nothing before it counts."""


class Options(BaseModel):
    """What can be set on a step. Unknown keys are refused; a field's description is its documentation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def for_graph(self) -> Self:
        """These, as they are meant of a model file, which nothing trains.

        Raises:
            ValueError: what is set cannot be had of one.
        """
        return self


def layers_that(stay: str) -> Any:
    """The field `exclude` of a step; `stay` says what the layers do that it names."""
    return Field(
        (),
        description=f"Layers that {stay}: names of modules, of parts of the model that hold them (`blocks.0`), or "
        "patterns (`*.attention`).",
    )


@dataclass(frozen=True)
class Goal:
    """What the outputs are to keep on the validation split of what float32 has: the layers that cost most of it stay in
    float, as exceptions of the format."""

    option: Literal["signal_to_noise", "max_drop"]
    """At least so many decibels of every output; at most so much less (a fraction) of the task's first figure."""
    value: float


@dataclass(frozen=True)
class TimedOn:
    """Where a step times what it makes."""

    device: str | None
    """None: on the only one that is declared."""


@dataclass(frozen=True)
class Needs:
    """What a step is to be handed; nothing else is loaded. The test split is the gate's alone and never handed."""

    splits: tuple[str, ...] = ()
    """Splits without which it cannot work: `train`, `calibration`."""
    wishes: tuple[str, ...] = ()
    """Splits that it does without, where the data have none: `validation`."""
    baseline: bool = False
    """The uncompressed module, as a teacher."""
    timed_on: TimedOn | None = None
    """A stopwatch. What such a step decides holds of the form that it leaves, so no later step may change that."""


@dataclass(frozen=True)
class Given:
    """What a step is handed besides its subject, as far as it needs it."""

    root: Path
    """The project's folder, where the user's own callables are found."""
    task: TaskSettings
    ports: Sequence[Port]
    """The inputs of the module; `fit` gives them what examples do not feed."""
    output: str | None
    """The name of the output that holds the scores; None: the first."""
    seed: int
    channel_multiple: int
    """Channel counts that the variant's runtime is fast at are multiples of this."""
    scratch: Path
    """For intermediate files; thrown away afterwards."""
    progress: Progress
    splits: Mapping[str, Split] = field(default_factory=dict)
    change: Change | None = None
    """What is done to training batches when they are read: `data.augment`."""
    absent: Mapping[str, str] = field(default_factory=dict)
    """Why a split that it wished for is not there."""
    checkpoints: Checkpoints | None = None
    """Where trainings keep what they have reached; None: nowhere."""
    curves: Curves | None = None
    """Where they show it; None: nowhere."""
    integers: Callable[[Subject, Format], Integers] | None = None
    """What of a module the variant's runtime would have in integers; raises what `Runtime.integers` does."""
    weights: Callable[[Model], Weights] | None = None
    """Those of a model file of the variant's runtime; raises RecipeFailed where that has no such files."""
    baseline: Any = None
    """The uncompressed module in eval mode, for all steps the same: not to be changed."""
    stopwatch: Stopwatch | None = None
    """Times a model beside the baseline, on the device that was asked for."""
    notes: dict[str, Any] = field(default_factory=dict)
    """Facts worth keeping in the manifest, by technique; of this step alone."""


class Technique(Protocol):
    """What all techniques have. `sets_number_format` tells which of the two kinds it is; one that trains a module for
    the numbers that it sets is both."""

    name: ClassVar[str]
    sets_number_format: ClassVar[bool]
    packages: ClassVar[tuple[str, ...]] = ()
    """What it stands on besides PyTorch and the runtime: their versions go into the manifest."""
    Options: ClassVar[type[Options]]
    searched: ClassVar[Sequence[Mapping[str, Any]]] = ({},)
    """What `makeweight search` tries of its options where the project says nothing: spaces beside each other, as
    `space.py` reads them. An empty one: as it stands."""


class Transformation(Technique, Protocol):
    """A technique that changes the model itself."""

    sets_number_format: ClassVar[bool] = False
    accepts: ClassVar[frozenset[SourceKind]]
    """A recipe on a module stays there as long as its steps accept one; a step that accepts graphs alone makes it be
    lowered before."""

    def effect(self, options: Any) -> Effect: ...

    def codebook(self, options: Any) -> int | Hashed | None:  # noqa: ARG002
        """See `Format.codebook`: how the weights are stored in the file after this step."""
        return None

    def needs(self, options: Any) -> Needs: ...

    def apply(self, subject: Subject, options: Any, given: Given) -> Subject:
        """Carry out one step. A module may be changed in place, a model file not.

        Raises:
            RecipeFailed: the step cannot be carried out on this model, or would change nothing.
        """

    def training(self, options: Any) -> TrainingOptions | None:
        """The fine-tuning that this step contains (a `finetune` step's options), or None: the control repeats it."""


class NumberFormat(Technique, Protocol):
    """A technique that is the number format of the one lowering."""

    sets_number_format: ClassVar[bool] = True

    def format(self, options: Any) -> Format: ...

    def goal(self, options: Any) -> Goal | None:  # noqa: ARG002
        """None: nothing is searched."""
        return None
