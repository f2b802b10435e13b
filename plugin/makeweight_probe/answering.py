"""How a model is asked where its answers are looked at, and not where they are timed: as numbers that mean the same
from one file to another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight_probe.session import Feeds, Session

Answering = Callable[[Feeds], list[NDArray[Any]]]
"""What a model answers to one inference, in its order."""


def answering(session: Session) -> Answering:
    """One inference: outputs in the model's order, each an array.

    No state is left of what was asked before, and integers that stand for real numbers are those numbers (see
    `Session`). What is no array (a sequence of tensors of several shapes, a dictionary, an optional that is absent) is
    held by an array of objects without dimensions, which nobody takes for numbers.
    """
    ask = getattr(session, "answer", session.run)
    return lambda feeds: [_array(each) for each in ask(feeds)]


def _array(answer: Any) -> NDArray[Any]:
    try:
        return np.asarray(answer)
    except ValueError:  # arrays of several shapes are no one array
        held: NDArray[Any] = np.empty((), dtype=object)
        held[()] = answer
        return held
