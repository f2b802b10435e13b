"""What inputs are called before anything declares them: by the examples, or by forward()."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from makeweight.user.form import Form
from makeweight.user.undeclared import names

ONE = {"image": True}
TWO = {"input_ids": True, "attention_mask": True, "labels": False}
OPEN: dict[str, bool] = {}  # forward(batch: dict), forward(*inputs)
X = np.zeros(3)


def stream() -> Iterator[Any]:
    yield X, 1


@pytest.mark.parametrize(
    ("given", "parameters", "called"),
    [
        ((np.zeros((2, 3)), np.zeros(2)), ONE, ("image",)),
        ((np.zeros((2, 3)), np.zeros(2)), OPEN, ("input",)),
        (({"a": np.zeros((2, 3)), "b": np.zeros((2, 3))}, np.zeros(2)), OPEN, ("a", "b")),
        (((np.zeros((2, 3)), np.zeros((2, 3))), np.zeros(2)), TWO, ("input_ids", "attention_mask")),
        ([(X, 1)], ONE, ("image",)),
        ([([1.0, 2.0], 1)], ONE, ("image",)),
        ([([X, X], 1)], TWO, ("input_ids", "attention_mask")),
        ([({"mask": X, "tokens": X}, 1)], ONE, ("mask", "tokens")),
        (stream(), ONE, ("image",)),
        ([{"attention_mask": X, "label": 1, "input_ids": X, "idx": 0}], TWO, ("input_ids", "attention_mask")),
        ([{"attention_mask": X, "labels": 1, "input_ids": X}], TWO, ("input_ids", "attention_mask")),
        ([{"pixels": X, "label": 1}], ONE, ("image",)),
        ([{"pixels": X, "depth": X, "label": 1}], OPEN, ("pixels", "depth")),
    ],
    ids=[
        "array", "unnamed", "mapping", "tuple", "pairs", "list_of_numbers", "list_of_arrays", "mappings", "stream",
        "rows", "rows_with_labels", "one_column", "columns",
    ],
)  # fmt: skip
def test_inputs_are_called_as_examples_or_forward_call_them(
    given: Any, parameters: dict[str, bool], called: tuple[str, ...]
) -> None:
    form = Form((), "classification", "data.load('test')", "own:load", Path())
    assert names(given, parameters, form) == called
