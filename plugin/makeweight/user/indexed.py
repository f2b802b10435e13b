"""Examples that are read by their number: a torch Dataset, the split of a data set of Hugging Face, a list."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.user import callables
from makeweight.user.form import Form
from makeweight.user.seeded import seeded
from makeweight.user.split import Batch, Change
from makeweight.user.workers import in_order
from makeweight_base.errors import UsageError


@dataclass(frozen=True)
class Indexed:
    """`entries`: anything with `entries[number]`. `numbers`: which of its entries are the examples, in order.
    `workers`: how many processes read them; 0: this one."""

    entries: Any
    numbers: NDArray[np.int64]
    form: Form
    workers: int = 0

    @property
    def count(self) -> int:
        return len(self.numbers)

    def read(self, size: int) -> Iterator[list[Batch]]:
        return self._in_batches(np.arange(self.count), size, (0,), None)

    def shuffled(self, size: int, seed: Sequence[int], change: Change | None) -> Iterator[list[Batch]]:
        return self._in_batches(np.random.default_rng(seed).permutation(self.count), size, seed, change)

    def pick(self, numbers: NDArray[np.int64]) -> Indexed:
        known = {number: self._entry(number) for number in np.unique(numbers).tolist()}
        kept = [known[number] for number in numbers.tolist()]
        return Indexed(kept, np.arange(len(kept)), self.form.drawn(numbers))

    def sample(self, most: int, rng: np.random.Generator) -> Indexed:
        every = self.count <= most
        return self.pick(np.arange(self.count) if every else np.sort(rng.choice(self.count, most, replace=False)))

    def bytes_each(self) -> int:
        (batch,) = self.form.batches([self._entry(0)], np.zeros(1, np.int64))
        return sum(values.nbytes for values in batch.inputs.values())

    def _in_batches(
        self, order: NDArray[np.int64], size: int, seed: Sequence[int], change: Change | None
    ) -> Iterator[list[Batch]]:
        cut = [order[start : start + size] for start in range(0, len(order), size)]
        read = functools.partial(self._together, cut, seed, change)
        told = [f"examples {places.min()} to {places.max()}" for places in cut]
        return in_order(read, told, self.workers, self.form.where)

    def _together(
        self, cut: list[NDArray[np.int64]], seed: Sequence[int], change: Change | None, index: int
    ) -> list[Batch]:
        """The batch of that index. Its random numbers are its own, no matter which worker reads it and when."""
        places = cut[index]
        with seeded((*seed, index)) as rng:
            found = self.form.batches([self._entry(place) for place in places.tolist()], places)
            return found if change is None else [change(batch, rng) for batch in found]

    def _entry(self, place: int) -> Any:
        def get() -> Any:
            try:
                return self.entries[number]
            except IndexError as error:
                called, count = f"{self.form.called}[{number}]", len(self.entries)
                raise UsageError(
                    f"`{called}` raised IndexError: {error}; it has a length of {count}",
                    where=callables.place(error, self.form.root) or self.form.where,
                    do="Mend it there, or make its __len__ and its __getitem__ agree.",
                ) from error

        number = int(self.numbers[place])
        return self.form.call(get, part=f"[{number}]")
