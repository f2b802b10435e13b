"""What a model answers to the samples that a device is fed with, as it is: whether it answers there as elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST = 4096
"""Numbers that are kept of one output for one sample."""

Outputs = dict[str, NDArray[Any]]
"""Arrays named `sample:output`, both counted from 0."""


def outputs(answers: Iterable[Sequence[Any]]) -> Outputs:
    """The outputs that are numbers; of a large one, numbers from all over it.

    Args:
        answers: sample by sample, outputs in the model's order.
    """
    answered = {
        f"{sample}:{index}": _some(np.asarray(output))
        for sample, given in enumerate(answers)
        for index, output in enumerate(given)
    }
    return {name: values for name, values in answered.items() if values.dtype.kind in "fiub"}


def _some(values: NDArray[Any]) -> NDArray[Any]:
    """One that has few is as it is: two of unlike shapes must not look alike."""
    if values.size <= MOST:
        return values
    return np.ascontiguousarray(values.ravel()[:: -(-values.size // MOST)])
