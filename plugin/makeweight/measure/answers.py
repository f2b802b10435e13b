"""Put a model to a split and keep what it answered."""

from __future__ import annotations

import numpy as np

from makeweight.artifact.model import Model
from makeweight.measure import inference
from makeweight.measure.outcomes import Outcomes
from makeweight.measure.tasks.table import TASKS
from makeweight.measure.tasks.task import Asked
from makeweight.runtimes.runtime import Runtime
from makeweight.user.declared import Declared
from makeweight.user.ran import ran
from makeweight.user.split import Split
from makeweight_base.errors import UsageError, at
from makeweight_base.progress import Progress


def answer(
    declared: Declared,
    runtime: Runtime,
    model: Model,
    split: Split,
    label: str,
    progress: Progress,
    like: Outcomes | None = None,
    batch: int | None = None,
) -> Outcomes:
    """Run a model over a split, and keep of its outputs what the task needs.

    Args:
        like: the baseline's answers, for a variant: its scores are read in the same way.
        batch: how many examples to ask for at once; None: it makes no difference.

    Raises:
        UsageError: the model does not open, the examples do not fit it, or its output does not fit the task.
    """
    scores = like.scores if like else None
    asked = Asked(declared.task, declared.model.output, declared.root, scores)
    keeper, finite = TASKS[declared.task.kind].keeper(asked), []
    examples = inference.reading(model, split, batch)
    with at(label):
        for outputs, given in inference.outputs(runtime, model, examples, batch=batch, progress=progress, label=label):
            if given.targets is None:
                raise UsageError(f"the {split.name} split has no targets")
            finite.append(keeper.add(outputs, given.targets))
        kept = keeper.kept()
    at_once = {} if batch is None else {"batch": batch}
    return Outcomes(
        kept=kept.arrays,
        finite=np.concatenate(finite),
        slices=split.slices,
        classes=kept.classes,
        scores=kept.scores,
        digest=examples.digest,
        facts={"sha256": model.sha256, "runtime": runtime.name, "version": str(runtime.version()), **at_once},
        code=ran(declared.root),
    )
