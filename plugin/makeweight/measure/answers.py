"""Put a model to a split and keep what it answered."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.artifact.model import Model
from makeweight.config.settings import TaskSettings
from makeweight.measure import inference
from makeweight.measure.outcomes import Outcomes, ScoreKind, classify
from makeweight.runtimes.runtime import Runtime
from makeweight.user import callables
from makeweight.user.dataset import Dataset
from makeweight.user.declared import Declared
from makeweight.user.ran import ran
from makeweight_base.errors import UsageError
from makeweight_base.progress import Progress


def answer(
    declared: Declared,
    runtime: Runtime,
    model: Model,
    dataset: Dataset,
    label: str,
    progress: Progress,
    like: Outcomes | None = None,
    batch: int | None = None,
) -> Outcomes:
    """Run a model over a split and reduce its outputs to what the task needs.

    Args:
        like: the baseline's answers, for a variant: its scores are read in the same way.
        batch: how many examples to ask for at once; None: it makes no difference.

    Raises:
        UsageError: the model does not open, the examples do not fit it, or its output does not fit the task.
    """
    outputs = inference.outputs(
        runtime, model, dataset, output=declared.model.output, batch=batch, progress=progress, label=label
    )
    flat = outputs.reshape(len(outputs), -1)
    at_once = {} if batch is None else {"batch": batch}
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(flat).all(axis=1))
    confidence, classes = np.full(len(outputs), np.nan), 0
    scores: ScoreKind = "none"
    prediction: NDArray[Any] = flat
    target = dataset.targets
    if declared.task.kind == "classification":
        prediction, confidence, classes, scores = classify(outputs, like.scores if like else None)
    elif declared.task.kind == "regression":
        if flat.size != target.size:
            raise UsageError(
                f"the model gives {flat.shape[1]} numbers an example, and the targets have shape "
                f"{list(target.shape[1:])}",
                where=label,
                do="Name the output with `model.output`, or mend the targets.",
            )
        target = target.reshape(len(target), -1).astype(np.float64)
    else:
        prediction = _scores(declared, outputs, dataset)
    return Outcomes(
        prediction=prediction,
        confidence=confidence,
        finite=finite,
        target=target,
        slices=dataset.slices,
        classes=classes,
        scores=scores,
        digest=dataset.digest(),
        facts={"sha256": model.sha256, "runtime": runtime.name, "version": str(runtime.version()), **at_once},
        code=ran(declared.root),
    )


def check_classes(task: TaskSettings, outcomes: Outcomes) -> None:
    """Refuse a test split that cannot judge every class.

    Raises:
        UsageError: a target beyond the model's classes, names that do not match them, or a class without an example.
    """
    where = "the test split"
    if task.classes is not None and len(task.classes) != outcomes.classes:
        raise UsageError(
            f"{len(task.classes)} class names are declared, and the model tells {outcomes.classes} classes apart",
            where="makeweight.yaml: task.classes",
            do="Name as many classes as the model has outputs.",
        )
    if int(outcomes.target.max()) >= outcomes.classes:
        raise UsageError(
            f"target {int(outcomes.target.max())} is beyond the model's {outcomes.classes} classes (0 to "
            f"{outcomes.classes - 1})",
            where=where,
            do="Mend the targets, or name the right output with `model.output`.",
        )
    absent = sorted(set(range(outcomes.classes)) - set(np.unique(outcomes.target).tolist()))
    if absent and task.absent_classes == "refuse":
        names = ", ".join(task.classes[c] if task.classes else str(c) for c in absent[:10])
        raise UsageError(
            f"no example of class {names}{' and others' if len(absent) > 10 else ''} ({len(absent)} of "
            f"{outcomes.classes} classes are absent): how compression treats them would go unseen",
            where=where,
            do="Add examples of them, or accept it with `task: {kind: classification, absent_classes: allow}`.",
        )


def _scores(declared: Declared, outputs: NDArray[Any], dataset: Dataset) -> NDArray[np.float64]:
    """The custom metric's figures: [examples], or [1] for one number over all."""
    dotted = declared.task.metric or ""
    function = callables.find(dotted, declared.root, where="makeweight.yaml: task.metric")
    given = callables.call(function, outputs, dataset.targets, name=dotted, root=declared.root)
    try:
        if given is None:  # a forgotten `return`, which numpy would take for NaN
            raise TypeError
        scores = np.atleast_1d(np.asarray(given, dtype=np.float64))
    except (ValueError, TypeError) as error:
        raise UsageError(f"gave {type(given).__name__}, not numbers", where=dotted) from error
    if scores.ndim != 1 or len(scores) not in (1, len(dataset)):
        raise UsageError(
            f"gave figures of shape {list(scores.shape)}; return one number, or one for each of the {len(dataset)} "
            "examples",
            where=dotted,
        )
    return scores
