"""What a figure is a figure of, and how it is called."""

import pytest

from makeweight.budget.measurand import Measurand


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
