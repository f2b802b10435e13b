"""What examples are judged by, as the task has it: the targets of a batch, made an array and checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.budget.metric import TaskKind
from makeweight_base.errors import UsageError

_MOST_CLASSES = 2**31


def numbers(given: Any, what: str, holds: str) -> NDArray[Any]:
    """An array of numbers of something that the user gave.

    Raises:
        UsageError: it is none; the message begins with `what`.
    """
    try:
        array = np.asarray(given)
    except (ValueError, TypeError, RuntimeError) as error:
        raise UsageError(f"{what} cannot be made an array: {error}") from error
    if array.dtype.kind not in "fiub":
        raise UsageError(f"{what} {holds} {array.dtype}, not numbers")
    return array


def whole(given: Any) -> NDArray[Any]:
    """The targets of all examples, as they were given.

    Raises:
        UsageError: they are no numbers, or one for all.
    """
    array = numbers(given, "targets", "hold")
    if array.ndim == 0:
        raise UsageError("gave one target for all examples; each needs its own")
    return array


def of_batch(given: Any, kind: TaskKind, places: NDArray[np.int64]) -> NDArray[Any]:
    """The targets of some examples, shape [examples, ...]; class indices (int64) for a classification.

    Args:
        places: the numbers of the examples, for errors.

    Raises:
        UsageError: they are none of the task.
    """
    array = numbers(given, "targets", "hold")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int(places[np.argwhere(~np.isfinite(array))[0][0]])
        raise UsageError(f"the target of example {bad} is not finite")
    if kind != "classification":
        return array
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise UsageError(f"targets of a classification are one class index an example, not of shape {array.shape[1:]}")
    if array.dtype.kind == "f" and not (array == np.round(array)).all():
        raise UsageError("targets of a classification are class indices, and these are not whole")
    odd = np.nonzero((array < 0) | (array > _MOST_CLASSES))[0]
    if len(odd):
        raise UsageError(
            f"the target of example {int(places[odd[0]])} is {array[odd[0]]:g}, and class indices begin at 0"
        )
    return array.astype(np.int64)
