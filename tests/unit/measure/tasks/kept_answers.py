"""Answers of a task, kept in batches, as `evaluate` does."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from makeweight.config.settings import TaskSettings
from makeweight.measure import quality
from makeweight.measure.outcomes import Outcomes
from makeweight.measure.tasks.table import TASKS
from makeweight.measure.tasks.task import Asked
from makeweight.measurement import Measurement


def kept(
    task: TaskSettings, outputs: dict[str, Any], targets: Any, *, batch: int = 7, like: Outcomes | None = None
) -> Outcomes:
    batches = (
        ({name: np.asarray(values[i : i + batch]) for name, values in outputs.items()}, targets[i : i + batch])
        for i in range(0, len(targets), batch)
    )
    return kept_of(task, batches, like=like)


def kept_of(
    task: TaskSettings, batches: Iterable[tuple[dict[str, Any], Any]], *, like: Outcomes | None = None
) -> Outcomes:
    """Of batches of outputs and targets, each of which may have shapes of its own."""
    keeper = TASKS[task.kind].keeper(Asked(task, None, Path(__file__).parent, like.scores if like else None))
    finite = [keeper.add(outputs, targets) for outputs, targets in batches]
    found = keeper.kept()
    return Outcomes(found.arrays, np.concatenate(finite), None, found.classes, found.scores, "d")


def measured(task: TaskSettings, own: Outcomes, baseline: Outcomes | None = None) -> dict[str, Measurement]:
    return {each.measurand.name: each for each in quality.measure(task, "int8", own, baseline)}
