"""What examples are judged by, as the task has it: the targets of a batch, made an array and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


def whole(given: Any, kind: TaskKind) -> NDArray[Any]:
    """The targets of all examples, as they were given.

    Raises:
        UsageError: they are no numbers where the task needs some, or one for all.
    """
    with _answered(kind):
        array = _as_given(given) if kind in _OF_ANY_FORM else numbers(given, "targets", "hold")
        if array.ndim == 0:
            raise UsageError("gave one target for all examples; each needs its own")
        return array


def of_batch(given: Any, kind: TaskKind, places: NDArray[np.int64]) -> NDArray[Any]:
    """The targets of some examples, shape [examples, ...].

    Whole numbers (int64) for a classification, shape [examples]; for labels, 0 or 1, shape [examples, labels]; and for
    a segmentation. As they were given for boxes, which are checked where they are matched, and for a metric of the
    user's own: where they are not numbers of one shape, shape [examples] of objects.

    Args:
        places: the numbers of the examples, for errors.

    Raises:
        UsageError: they are none of the task.
    """
    if kind in _OF_ANY_FORM:
        return _as_given(given)
    with _answered(kind):
        array = numbers(given, "targets", "hold")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            bad = int(places[np.argwhere(~np.isfinite(array))[0][0]])
            raise UsageError(f"the target of example {bad} is not finite")
        return _CHECKS[kind](array, places) if kind in _CHECKS else array


def changed(given: Any, kind: TaskKind, before: NDArray[Any] | None, places: NDArray[np.int64]) -> NDArray[Any]:
    """The targets of a training batch that was changed. Class indices are checked and made int64 as they are when they
    are read; in their place may stand what each class has of an example, as when two are mixed, or of two classes what
    the second has.

    Args:
        before: those of the batch before; None: it has none.
        places: the numbers of the examples, for errors, as far as they are known.

    Raises:
        UsageError: they are none of the task.
    """
    array = whole(given, kind)
    if kind not in ("classification", "segmentation") or before is None:
        return array
    indices = array.ndim == before.ndim or array.shape[1:] == (1,)
    if not indices or _shares(array):
        return array
    return of_batch(array, kind, np.resize(places, len(array)))


def _shares(array: NDArray[Any]) -> bool:
    """Whether these are parts of a whole, and some of them neither nothing nor all."""
    return bool(((array >= 0) & (array <= 1)).all() and ((array > 0) & (array < 1)).any())


@contextmanager
def _answered(kind: TaskKind) -> Iterator[None]:
    """Tell with what is wrong what a target of the task is."""
    try:
        yield
    except UsageError as error:
        do = f"{_WANTED[kind]} Mend the loader, or say in `task:` what the model does."
        raise UsageError(error.what, where=error.where, do=do) from error


def _as_given(given: Any) -> NDArray[Any]:
    """Numbers of one shape as an array; what is something else as an array of objects."""
    if not isinstance(given, np.ndarray):
        try:
            array = np.asarray(given)
        except (ValueError, TypeError, RuntimeError):  # of several shapes
            array = np.zeros(0, dtype=object)
        if array.dtype.kind not in "fiub":
            array = np.empty(len(given), dtype=object)
            for index, each in enumerate(given):
                array[index] = each
        return array
    return given


def _classes(array: NDArray[Any], places: NDArray[np.int64]) -> NDArray[np.int64]:
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise UsageError(f"targets of a classification are one class index an example, not of shape {array.shape[1:]}")
    classes = _whole(array, "a classification")
    odd = np.nonzero((array < 0) | (array > _MOST_CLASSES))[0]
    if len(odd):
        raise UsageError(
            f"the target of example {int(places[odd[0]])} is {array[odd[0]]:g}, and class indices begin at 0"
        )
    return classes


def _labels(array: NDArray[Any], places: NDArray[np.int64]) -> NDArray[np.int64]:
    what = "targets of a multilabel task are 0 or 1 for each label"
    if array.ndim != 2:
        raise UsageError(f"{what}, and these have shape {list(array.shape[1:])} an example")
    odd = np.argwhere((array != 0) & (array != 1))
    if len(odd):
        raise UsageError(f"{what}, and that of example {int(places[odd[0][0]])} holds {array[tuple(odd[0])]:g}")
    return array.astype(np.int64)


def _masks(array: NDArray[Any], _: NDArray[np.int64]) -> NDArray[np.int64]:
    if array.ndim < 2:
        raise UsageError("targets of a segmentation are a class index for each place, and these are one an example")
    # a mask of one channel is the mask
    array = array[:, 0] if array.ndim > 3 and array.shape[1] == 1 else array
    return _whole(array, "a segmentation")


def _whole(array: NDArray[Any], task: str) -> NDArray[np.int64]:
    if array.dtype.kind == "f" and not (array == np.round(array)).all():
        raise UsageError(f"targets of {task} are class indices, and these are not whole")
    with np.errstate(invalid="ignore"):  # one beyond all integers becomes one that no class has
        return array.astype(np.int64)


_OF_ANY_FORM: tuple[TaskKind, ...] = ("detection", "custom")
_CHECKS: dict[TaskKind, Callable[[NDArray[Any], NDArray[np.int64]], NDArray[np.int64]]] = {
    "classification": _classes,
    "multilabel": _labels,
    "segmentation": _masks,
}
_WANTED: dict[TaskKind, str] = {
    "classification": "A target is the index of a class, counted from 0.",
    "multilabel": "A target is 0 or 1 for each label.",
    "regression": "A target is as many numbers as the model gives for an example.",
    "segmentation": "A target is the index of a class for each place.",
    "detection": "A target is {boxes: [objects, 4], labels: [objects]}.",
    "custom": "A target is what your metric takes, one an example.",
}
