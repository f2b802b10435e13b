"""What a technique is: it says what it accepts, what can be set, and turns one subject into the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from makeweight.config.settings import TaskSettings
    from makeweight.runtimes.runtime import Runtime
    from makeweight.user.dataset import Dataset
    from makeweight_base.progress import Progress

Accepts = Literal["module", "graph"]


class Options(BaseModel):
    """What can be set on a step. Unknown keys are refused; a field's description is its documentation."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Context:
    """What a technique may use besides its subject. Data are loaded when first asked for."""

    root: Path
    """The project's folder, where the user's own callables are found."""
    runtime: Runtime
    task: TaskSettings
    seed: int
    split: Callable[[str], Dataset]
    """A declared split: `train`, `validation`. The test split is the gate's alone and is refused here."""
    calibration: Callable[[], Dataset]
    """The declared calibration examples."""
    output: str | None
    """The name of the output that holds the scores; None: the first."""
    baseline: Callable[[], Any]
    """A fresh copy of the baseline as a PyTorch module, for a teacher; fails for a model without one."""
    workdir: Path
    """For intermediate files; thrown away afterwards."""
    progress: Progress
    notes: dict[str, Any] = field(default_factory=dict)
    """Facts worth keeping in the manifest, by technique."""


class Technique(Protocol):
    """One way to make a model smaller or faster.

    `accepts` is what `apply` takes and gives back: a `torch.nn.Module` (`module`), or the path of a model file
    of the variant's runtime (`graph`), which it must not change in place. A recipe goes from modules to graphs,
    with the export between them.

    `sets_number_format` marks techniques that fix what numbers the graph computes in; a recipe has at most one.
    `trains` marks those that change weights by training, for which an equally trained control is made.
    """

    name: ClassVar[str]
    accepts: ClassVar[Accepts]
    sets_number_format: ClassVar[bool]
    trains: ClassVar[bool]
    Options: ClassVar[type[Options]]

    def apply(self, subject: Any, options: Any, context: Context) -> Any:
        """Carry out one step.

        Raises:
            RecipeFailed: the step cannot be carried out on this model, or would change nothing.
        """

    def training(self, options: Any) -> Any | None:
        """The fine-tuning that this step contains (a `finetune` step's options), or None: the control repeats it."""
