"""Splits of arrays, for tests that need some examples and not where they come from."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from makeweight.user.arrays import Arrays
from makeweight.user.split import Split


def split_of(name: str, inputs: Mapping[str, np.ndarray], targets: np.ndarray | None = None) -> Split:
    return Split(name, Arrays(inputs, targets))


def whole(split: Split) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """All inputs and targets of a split whose examples have one shape, read in batches of two."""
    batches = list(split.batches(2))
    inputs = {name: np.concatenate([batch.inputs[name] for batch in batches]) for name in batches[0].inputs}
    targets: list[Any] = [batch.targets for batch in batches]
    return inputs, np.concatenate(targets)


def digest(split: Split, size: int = 2) -> str:
    """The hash of a pass in batches of that size."""
    reading = split.read(size)
    for _ in reading:
        pass
    return reading.digest
