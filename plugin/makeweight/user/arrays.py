"""Examples that are given as whole arrays, in memory or mapped into it: batches are slices of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.user.form import Form
from makeweight.user.split import Batch, Change


@dataclass(frozen=True)
class Arrays:
    """`inputs`: arrays by input name, shape [examples, ...]. `targets`: shape [examples, ...]; None: there are none.
    `form`: what they are checked against when they are read; None: they were checked before."""

    inputs: Mapping[str, NDArray[Any]]
    targets: NDArray[Any] | None
    form: Form | None = None

    @property
    def count(self) -> int:
        return len(next(iter(self.inputs.values())))

    def read(self, size: int) -> Iterator[list[Batch]]:
        for start in range(0, self.count, size):
            places = np.arange(start, min(start + size, self.count))
            yield [self._batch(slice(start, start + size), places)]

    def shuffled(self, size: int, seed: Sequence[int], change: Change | None) -> Iterator[list[Batch]]:
        rng = np.random.default_rng(seed)
        order = rng.permutation(self.count)
        for start in range(0, self.count, size):
            batch = self._batch(order[start : start + size], order[start : start + size])
            yield [batch if change is None else change(batch, rng)]

    def pick(self, numbers: NDArray[np.int64]) -> Arrays:
        inputs = {name: np.asarray(values[numbers]) for name, values in self.inputs.items()}
        form = None if self.form is None else self.form.drawn(numbers)
        return Arrays(inputs, None if self.targets is None else self.targets[numbers], form)

    def first(self, most: int) -> Arrays:
        """So many, as they are: not copied and not read."""
        inputs = {name: values[:most] for name, values in self.inputs.items()}
        return replace(self, inputs=inputs, targets=None if self.targets is None else self.targets[:most])

    def sample(self, most: int, rng: np.random.Generator) -> Arrays:
        return self if self.count <= most else self.pick(np.sort(rng.choice(self.count, most, replace=False)))

    def bytes_each(self) -> int:
        return sum(values[:1].nbytes for values in self.inputs.values())

    def _batch(self, which: slice | NDArray[np.int64], places: NDArray[np.int64]) -> Batch:
        inputs = {name: values[which] for name, values in self.inputs.items()}
        targets = None if self.targets is None else self.targets[which]
        return Batch(places, inputs, targets) if self.form is None else self.form.batch(inputs, targets, places)
