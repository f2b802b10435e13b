"""Put a model to a split and keep what it answered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from makeweight.artifact.model import Model
from makeweight.measure import inference
from makeweight.measure.outcomes import Outcomes
from makeweight.measure.patient import Patient
from makeweight.measure.tasks.table import TASKS
from makeweight.measure.tasks.task import Asked
from makeweight.runtimes.runtime import Runtime
from makeweight.user.declared import Declared
from makeweight.user.opened import opened
from makeweight.user.ran import ran
from makeweight.user.split import Split
from makeweight_base.errors import UsageError, at
from makeweight_base.given_up import OtherThread
from makeweight_base.progress import Progress
from makeweight_probe.answering import answering
from makeweight_probe.outputs import outputs
from makeweight_probe.session import Feeds


def answer(
    declared: Declared,
    runtime: Runtime,
    model: Model,
    split: Split,
    label: str,
    progress: Progress,
    like: Outcomes | None = None,
    batch: int | None = None,
    fed: Sequence[Feeds] = (),
) -> Outcomes:
    """Run a model over a split, and keep of its outputs what the task needs.

    Args:
        like: the baseline's answers, for a variant: its scores are read in the same way.
        batch: how many examples to ask for at once; None: it makes no difference.
        fed: the samples that devices are fed with, as the model takes them: it is asked for these too.

    Raises:
        UsageError: the model does not open, the examples do not fit it, or its output does not fit the task.
        ModelGivenUp: it does not come to an end.
    """
    scores = like.scores if like else None
    asked = Asked(declared.task, declared.model.output, declared.root, scores)
    keeper, finite = TASKS[declared.task.kind].keeper(asked), []
    examples = inference.reading(model, split, batch)
    with at(label), OtherThread() as thread:
        session = Patient(thread, lambda: runtime.open(model), label)
        told = inference.outputs(runtime, session, model, examples, batch=batch, progress=progress, label=label)
        for answers, given in told:
            if given.targets is None:
                raise UsageError(f"the {split.name} split has no targets")
            finite.append(keeper.add(answers, given.targets))
        kept = keeper.kept()
        beside = outputs(map(answering(session), fed))
    at_once = {} if batch is None else {"batch": batch}
    code = ran(declared.root)
    return Outcomes(
        kept=kept.arrays,
        finite=np.concatenate(finite),
        slices=split.slices,
        classes=kept.classes,
        scores=kept.scores,
        digest=examples.digest,
        facts={"sha256": model.sha256, "runtime": runtime.name, "version": str(runtime.version()), **at_once},
        code=code,
        read=opened(declared, code),
        outputs=beside,
    )
