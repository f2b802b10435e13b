"""Targets, as each task has them: what they become, and what is told of those that fit none."""

from typing import Any

import numpy as np
import pytest

from makeweight.user.digest import mark
from makeweight.user.targets import of_batch, whole
from makeweight_base.errors import UsageError

PLACES = np.array([40, 41])
BOXES = [{"boxes": [[0, 0, 1, 1]], "labels": [2]}, {"boxes": np.zeros((0, 4)), "labels": []}]


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("classification", [[1.0], [2.0]], [1, 2]),
        ("multilabel", [[True, False], [True, True]], [[1, 0], [1, 1]]),
        ("multilabel", [[0.0, 1.0], [1.0, 1.0]], [[0, 1], [1, 1]]),
        ("segmentation", np.ones((2, 1, 2, 2), np.uint8), np.ones((2, 2, 2))),
        ("segmentation", [[0, -100], [3, 255]], [[0, -100], [3, 255]]),
        ("regression", [[0.5], [1.5]], [[0.5], [1.5]]),
        ("detection", np.full((2, 3, 5), 1.0), np.full((2, 3, 5), 1.0)),
        ("custom", [1, 2], [1, 2]),
    ],
)
def test_they_become_numbers_of_the_task(kind: Any, given: Any, expected: Any) -> None:
    found = of_batch(given, kind, PLACES)
    np.testing.assert_array_equal(found, expected)
    if kind in ("classification", "multilabel", "segmentation"):
        assert found.dtype == np.int64


@pytest.mark.parametrize("kind", ["detection", "custom"])
@pytest.mark.parametrize("given", [BOXES, [[1], [1, 2]], ["cat", "dog"], [[np.ones(2)], [np.ones(3)]]])
def test_what_has_no_one_shape_stays_as_it_was_given(kind: Any, given: Any) -> None:
    for found in (of_batch(given, kind, PLACES), whole(given, kind)):
        assert found.shape == (2,)
        assert found.dtype.hasobject
        assert found[0] is given[0]
        assert mark(found[0]) != mark(found[1]), "what is measured is keyed by them"


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        ("multilabel", [1, 0], r"0 or 1 for each label, and these have shape \[\] an example"),
        ("multilabel", [[0, 1], [0, 3]], "that of example 41 holds 3"),
        ("multilabel", [[0, 1], [0.5, 1]], "that of example 41 holds 0.5"),
        ("segmentation", [1, 0], "a class index for each place, and these are one an example"),
        ("segmentation", [[0.5, 1], [0, 1]], "targets of a segmentation are class indices, and these are not whole"),
        ("segmentation", [[1, 2], [1]], "targets cannot be made an array"),
        ("regression", [[np.nan], [1]], "the target of example 40 is not finite"),
        ("classification", BOXES, "targets hold object, not numbers"),
    ],
)
def test_what_fits_no_task_is_told(kind: Any, given: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        of_batch(given, kind, PLACES)
    assert "Mend the loader, or say in `task:` what the model does." in str(caught.value.do)
