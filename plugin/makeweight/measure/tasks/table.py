"""The kinds of tasks, by the name that makeweight.yaml gives them."""

from __future__ import annotations

from collections.abc import Mapping

from makeweight.budget.metric import TaskKind
from makeweight.measure.tasks.classification import Classification
from makeweight.measure.tasks.custom import Custom
from makeweight.measure.tasks.detection import Detection
from makeweight.measure.tasks.multilabel import MultiLabel
from makeweight.measure.tasks.regression import Regression
from makeweight.measure.tasks.segmentation import Segmentation
from makeweight.measure.tasks.task import Task

TASKS: Mapping[TaskKind, Task] = {
    "classification": Classification(),
    "multilabel": MultiLabel(),
    "regression": Regression(),
    "segmentation": Segmentation(),
    "detection": Detection(),
    "custom": Custom(),
}
