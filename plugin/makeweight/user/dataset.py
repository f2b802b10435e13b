"""Examples of one split, as arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.artifact.ports import Feeds


@dataclass(frozen=True)
class Dataset:
    """Examples of one split.

    `inputs`: arrays by input name, shape [examples, ...] (no batch dimension inside). `targets`: shape
    [examples, ...]; class indices (int64) for classification. `slices`: the name of each example's group, or "".
    """

    split: str
    inputs: Mapping[str, NDArray[Any]]
    targets: NDArray[Any]
    slices: NDArray[np.str_] | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, indices: NDArray[Any] | slice) -> Dataset:
        return Dataset(
            self.split,
            {name: values[indices] for name, values in self.inputs.items()},
            self.targets[indices],
            None if self.slices is None else self.slices[indices],
        )

    def batches(self, size: int) -> Iterator[Feeds]:
        """The inputs in order, `size` examples at a time (the last batch may be smaller)."""
        for start in range(0, len(self), size):
            yield {name: values[start : start + size] for name, values in self.inputs.items()}

    def digest(self) -> str:
        """A hash of every input, target and slice: part of the key of what is measured on them."""
        total = hashlib.sha256()
        arrays = {**{f"input:{name}": values for name, values in self.inputs.items()}, "target": self.targets}
        for name, values in sorted(arrays.items()):
            total.update(f"{name} {values.dtype} {values.shape}".encode())
            total.update(np.ascontiguousarray(values).tobytes())
        if self.slices is not None:
            total.update("\n".join(self.slices.tolist()).encode())
        return total.hexdigest()
