"""The kinds of tasks, by the name that makeweight.yaml gives them."""

from __future__ import annotations

from collections.abc import Mapping

from makeweight.budget.metric import TaskKind
from makeweight.config.settings import TaskSettings
from makeweight.measure.outcomes import Outcomes
from makeweight.measure.tasks.classification import Classification
from makeweight.measure.tasks.custom import Custom
from makeweight.measure.tasks.detection import Detection
from makeweight.measure.tasks.multilabel import MultiLabel
from makeweight.measure.tasks.regression import Regression
from makeweight.measure.tasks.segmentation import Segmentation
from makeweight.measure.tasks.task import Task
from makeweight_base.errors import UsageError

TASKS: Mapping[TaskKind, Task] = {
    "classification": Classification(),
    "multilabel": MultiLabel(),
    "regression": Regression(),
    "segmentation": Segmentation(),
    "detection": Detection(),
    "custom": Custom(),
}


def refuse_unfit(task: TaskSettings, own: Outcomes, split: str) -> None:
    """Refuse targets of another split than the test split that no answer could fit. A class may have no example there:
    it only goes unseen.

    Raises:
        UsageError: see `Task.check`.
    """
    try:
        TASKS[task.kind].check(task.model_copy(update={"absent_classes": "allow"}), own)
    except UsageError as error:
        raise UsageError(error.what, where=f"the {split} split", do=error.do) from error
