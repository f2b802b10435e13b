"""A split: examples that are read in batches as they are needed, and never held whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from makeweight.artifact.ports import Feeds
from makeweight.user.digest import Digest
from makeweight_base.errors import UsageError

# Bytes from which a batch is hashed beside the work on it, and not before.
_BESIDE = 2**20
# How many examples are read at once where they are only counted.
_COUNTED = 64


@dataclass(frozen=True)
class Batch:
    """Examples that were read together.

    `numbers`: their places in the split, shape [examples]. `inputs`: arrays by input name, shape [examples, ...].
    `targets`: shape [examples, ...]; class indices (int64) for classification; None for calibration examples that come
    without. `marks`: where examples were collated, a hash of each as the loader gave it, which does not depend on the
    others; None: the arrays are what the loader gave.
    """

    numbers: NDArray[np.int64]
    inputs: Feeds
    targets: NDArray[Any] | None
    marks: bytes | None = None

    def __len__(self) -> int:
        return len(self.numbers)


Change = Callable[[Batch, np.random.Generator], Batch]
"""What is done to a training batch when it has been read."""


class Source(Protocol):
    """Where the examples of a split come from. They are checked when they are read."""

    @property
    def count(self) -> int | None:
        """How many there are; None for a stream that was not read to its end yet."""

    def read(self, size: int) -> Iterator[list[Batch]]:
        """All in order, up to `size` at a time: as one batch, or as several where their shapes differ and nothing
        collates them (neighbours of one shape are together).

        Raises:
            UsageError: the loader fails, or an example does not fit the model or the task; it is named by its number.
        """

    def shuffled(self, size: int, seed: Sequence[int], change: Change | None) -> Iterator[list[Batch]]:
        """All, in an order that the seed decides. So it does all random numbers that the loader draws for an example,
        and what is given to `change`: whatever the number of workers."""

    def pick(self, numbers: NDArray[np.int64]) -> Source:
        """Some examples, kept in memory, in the order of their numbers, each as often as it is named."""

    def sample(self, most: int, rng: np.random.Generator) -> Source:
        """Up to `most` examples, drawn without replacement and kept in memory, in order."""

    def bytes_each(self) -> int:
        """The size of the first example's inputs."""


@dataclass(frozen=True)
class Split:
    """The examples of one split.

    It is read from its source anew in each pass, a batch at a time. What it promises: every pass gives the same
    examples in the same order; they are checked when they are read; `Reading.digest` does not depend on how they are
    cut into batches. What is drawn (`take`, `draw`, `first`) is held in memory. `slices`: the name of each example's
    group, or "".
    """

    name: str
    source: Source
    slices: NDArray[np.str_] | None = None

    @property
    def count(self) -> int | None:
        """How many examples there are; None for a stream that was not read to its end yet."""
        return self.source.count

    def length(self) -> int:
        """How many examples there are; a stream is read once to learn it."""
        if self.source.count is None:
            for _ in self.source.read(_COUNTED):
                pass
        return self.source.count or 0

    def read(self, size: int) -> Reading:
        """One pass in order, hashed on the way."""
        return Reading(self, size)

    def batches(self, size: int) -> Iterator[Batch]:
        """One pass in order, up to `size` examples at a time, in each batch all of one shape."""
        for together in self.source.read(size):
            yield from together

    def feeds(self, size: int) -> Iterator[Feeds]:
        """The inputs of `batches`."""
        return (batch.inputs for batch in self.batches(size))

    def take(self, numbers: NDArray[Any] | Sequence[int]) -> Split:
        """Some of the examples, in the order of their numbers."""
        chosen = np.asarray(numbers, dtype=np.int64)
        return Split(self.name, self.source.pick(chosen), None if self.slices is None else self.slices[chosen])

    def draw(self, most: int, seed: int) -> Split:
        """Up to `most` examples, drawn with the seed, in order; without their slices."""
        return Split(self.name, self.source.sample(most, np.random.default_rng(seed)))

    def first(self, most: int) -> Batch:
        """The first examples, as one batch: of several shapes that nothing collates, only those of the first."""
        return next(self.batches(most))

    def steps(self, size: int) -> int:
        """How many batches an epoch has. A single example left over is dropped: batch normalization cannot learn from
        one."""
        count = self.length()
        return count // size + (count % size > (1 if count > size > 1 else 0))

    def epoch(self, size: int, seed: int, epoch: int, change: Change | None = None) -> Iterator[Batch]:
        """The examples in an order of this epoch's own, in `steps` batches, for training.

        Raises:
            UsageError: examples of several shapes would be in one batch, and nothing collates them.
        """
        for _, together in zip(
            range(self.steps(size)), self.source.shuffled(size, (seed, epoch), change), strict=False
        ):
            if len(together) > 1:
                raise UsageError(
                    f"examples of one step have different shapes: {_shapes(together[0])} and {_shapes(together[1])}",
                    where=f"the {self.name} split",
                    do="Return a torch DataLoader whose collate_fn pads them, or train with `batch: 1`.",
                )
            yield together[0]


class Reading:
    """One pass over a split: iterate it, then ask for the digest."""

    def __init__(self, split: Split, size: int) -> None:
        self._split, self._size, self._digest = split, size, Digest()
        self.total = None if split.count is None else -(-split.count // size)
        """How many times examples are read; None: nobody knows."""

    def __iter__(self) -> Iterator[list[Batch]]:
        """Batches, those in one list that are read together; see `Source.read`."""
        with ThreadPoolExecutor(1) as beside:
            pending: Future[None] | None = None
            for together in self._split.source.read(self._size):
                if pending is not None:
                    pending.result()
                    pending = None
                if sum(values.nbytes for batch in together for values in batch.inputs.values()) < _BESIDE:
                    self._digest.add(together)
                else:
                    pending = beside.submit(self._digest.add, together)
                yield together
            if pending is not None:
                pending.result()
        slices, count = self._split.slices, self._split.count
        if slices is not None and len(slices) != count:
            raise UsageError(f"named {len(slices)} examples, and the split has {count}", where="data.slices")

    @property
    def digest(self) -> str:
        """A hash of every input, target and slice that was read: part of the key of what is measured on them."""
        return self._digest.value(self._split.slices)


def _shapes(batch: Batch) -> str:
    return ", ".join(f"`{name}` {list(values.shape[1:])}" for name, values in batch.inputs.items())
