"""What the inputs of examples are called where nothing declares them yet: as the examples do, or as forward() does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from makeweight.user import data
from makeweight.user.form import TARGETS, Form
from makeweight.user.indexed import Indexed

_UNNAMED = "input"


def names(given: Any, parameters: Mapping[str, bool], form: Form) -> tuple[str, ...]:
    """The inputs of what a loader gave, of which no more than the first example is read.

    Args:
        parameters: what forward() takes by name, in order, and whether it has to be given.
        form: how the user's code is called; its names are not looked at.

    Raises:
        UsageError: the loader fails, or holds no examples.
    """
    if data.are_arrays(given):
        return of_inputs(given[0], parameters)
    # what is no arrays is kept as it was given
    picked = cast(Indexed, data.source(given, lambda: given, form).pick(np.zeros(1, np.int64)))
    (first,) = picked.entries
    if picked.form.collate is not None:
        first = picked.form.together([first])
    if isinstance(first, Mapping):
        return _of_row(first, parameters)
    return of_inputs(first[0] if isinstance(first, tuple | list) and first else first, parameters)


def of_inputs(given: Any, parameters: Mapping[str, bool]) -> tuple[str, ...]:
    """Of the inputs of one example, or of all: a mapping names them itself, forward() those of a tuple and a single
    one."""
    if isinstance(given, Mapping):
        return tuple(map(str, given))
    several = isinstance(given, tuple) or (isinstance(given, list) and sum(parameters.values()) > 1)
    if several and 1 < len(given) <= len(parameters):
        return tuple(parameters)[: len(given)]
    return (only(_UNNAMED, parameters),)


def only(name: str, parameters: Mapping[str, bool]) -> str:
    """What a single input is called: as forward() calls the one parameter that has to be given, or its first."""
    required = [each for each, must in parameters.items() if must]
    return name if name in parameters else next(iter(required or parameters), name)


def _of_row(row: Mapping[str, Any], parameters: Mapping[str, bool]) -> tuple[str, ...]:
    """Its columns that forward() takes (a target that it may take too is none); where there are none of them, those
    that are no target."""
    if taken := tuple(name for name, must in parameters.items() if name in row and (must or name not in TARGETS)):
        return taken
    others = tuple(str(name) for name in row if name not in TARGETS)
    return (only(others[0], parameters),) if len(others) == 1 else others
