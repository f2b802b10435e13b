"""What a figure is a figure of, and how it is called."""

import pytest

from makeweight.budget.measurand import Measurand, headline
from makeweight.budget.metric import METRICS, TaskKind


@pytest.mark.parametrize(
    ("of", "name"),
    [
        (Measurand("size"), "size"),
        (Measurand("latency_p50", "ratio"), "latency_p50_ratio"),
        (Measurand("accuracy", slice="dim light"), "accuracy[dim light]"),
        (Measurand("accuracy", "drop", "night"), "accuracy_drop[night]"),
        (Measurand("accuracy", control=True), "accuracy_control"),
        (Measurand("accuracy", "drop", control=True), "accuracy_drop_control"),
        (Measurand("size").compared("regression"), "size_regression"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_files_name_it_in_one_word(of: Measurand, name: str) -> None:
    assert of.name == name


@pytest.mark.parametrize(
    ("task", "metric"), [("classification", "accuracy"), ("regression", "rmse"), ("custom", "metric")]
)
def test_what_stands_for_quality_is_a_metric_of_the_task(task: TaskKind, metric: str) -> None:
    assert headline("quality", task) == Measurand(metric)
    assert task in METRICS[metric].tasks


def test_what_a_model_is_told_in() -> None:
    assert (headline("size"), headline("latency")) == (Measurand("size"), Measurand("latency_p50"))
