"""Examples that come one after the other: a generator, or anything that can only be iterated."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.user import callables
from makeweight.user.form import Form
from makeweight.user.indexed import Indexed
from makeweight.user.split import Batch, Change
from makeweight_base.errors import UsageError

# How many steps' examples are mixed with each other.
_MIXED = 16
# More examples than this, of a stream that says no length, are taken for one that never ends.
ENDLESS = 10_000_000
# How far ahead is looked, in powers of two, for examples beyond one whose IndexError may be the end.
_AHEAD = 17


class Stream:
    """Read from its beginning in each pass, and in this process."""

    def __init__(self, open: Callable[[], Any], form: Form, most: int | None = None) -> None:
        """`open`: gives what is to be iterated, anew for each pass. `most`: it ends after so many; None: where it does
        itself."""
        self._open, self._form, self._most = open, form, most
        self._begun: tuple[Any, Iterator[Any]] | None = None
        self.count: int | None = None

    def read(self, size: int) -> Iterator[list[Batch]]:
        for start, given in self._blocks(size):
            yield self._form.batches(given, np.arange(start, start + len(given)))

    def shuffled(self, size: int, seed: Sequence[int], change: Change | None) -> Iterator[list[Batch]]:
        """Mixed as it comes, over some steps."""
        rng = np.random.default_rng(seed)
        for start, given in self._blocks(size * _MIXED):
            order = rng.permutation(len(given))
            for first in range(0, len(given), size):
                some = order[first : first + size]
                found = self._form.batches([given[index] for index in some], start + some)
                yield found if change is None else [change(batch, rng) for batch in found]

    def pick(self, numbers: NDArray[np.int64]) -> Indexed:
        wanted, last = set(numbers.tolist()), int(numbers.max(initial=-1))
        known = {place: each for place, each in self._entries(last + 1) if place in wanted}
        return self._kept([known[number] for number in numbers.tolist()], numbers)

    def sample(self, most: int, rng: np.random.Generator) -> Indexed:
        """A reservoir: each example has the same chance, and one pass is enough (Vitter's algorithm R, 1985)."""
        held: list[tuple[int, Any]] = []
        for place, each in self._entries(None):
            if place < most:
                held.append((place, each))
            elif (at := int(rng.integers(place + 1))) < most:
                held[at] = (place, each)
        held.sort(key=lambda pair: pair[0])
        return self._kept([each for _, each in held], np.array([place for place, _ in held], np.int64))

    def bytes_each(self) -> int:
        given, entries = self._opened()
        first = self._next(entries)
        if first is _END:
            raise self._none()
        self._begun = given, itertools.chain([first], entries)
        (batch,) = self._form.batches([first], np.zeros(1, np.int64))
        return sum(values.nbytes for values in batch.inputs.values())

    def _kept(self, entries: list[Any], numbers: NDArray[np.int64]) -> Indexed:
        return Indexed(entries, np.arange(len(entries)), self._form.drawn(numbers))

    def _blocks(self, size: int) -> Iterator[tuple[int, list[Any]]]:
        """The number of the first, and as many as there are, of `size`."""
        entries = self._entries(None)
        while block := list(itertools.islice(entries, size)):
            yield block[0][0], [each for _, each in block]

    def _entries(self, most: int | None) -> Iterator[tuple[int, Any]]:
        """Each with its number; `most`: how many are wanted."""
        given, entries = self._opened()
        said = self._form.call(_said, given)
        for place in itertools.count():
            if place == most:
                return
            if place == self._most:
                self._ended(None, place, True)
                return
            each = self._next(entries)
            if each is _END or place == said:
                self._ended(said, place, each is _END)
                return
            if place == ENDLESS and said is None and self._most is None:
                raise UsageError(
                    f"gave {place} examples, and goes on",
                    where=self._form.where,
                    do="Say how many a split has, such as `data: {examples: {validation: 5000}}`.",
                )
            yield place, each

    def _opened(self) -> tuple[Any, Iterator[Any]]:
        if self._begun is not None:
            begun, self._begun = self._begun, None
            return begun
        given = self._open()
        if not hasattr(given, "__iter__"):
            return given, self._by_number(given)
        return given, self._form.call(iter, given)

    def _by_number(self, given: Any) -> Iterator[Any]:
        """By the old protocol of sequences, in which IndexError is the end. One that comes out of the code of an
        example is told from it by the examples that come after."""
        for number in itertools.count():
            try:
                each = given[number]
            except StopIteration:  # which ends a sequence too, as `iter` reads it
                return
            except IndexError as error:
                later = [number + 2**power for power in range(_AHEAD)]
                if (next_one := next((one for one in later if _is_there(given, one)), None)) is None:
                    return
                raise UsageError(
                    f"`{self._form.called}[{number}]` raised IndexError: {error}, and there is an example {next_one}",
                    where=callables.place(error, self._form.root) or self._form.where,
                    do="Mend it there; or, where that is its end, give it a __len__.",
                ) from error
            yield each

    def _next(self, entries: Iterator[Any]) -> Any:
        return self._form.call(next, entries, _END)

    def _ended(self, said: int | None, count: int, is_all: bool) -> None:
        if count == 0 and is_all:
            raise self._none()
        if not is_all or said not in (None, count):
            raise UsageError(
                f"has a length of {said}, and gave {count if is_all else 'more'} examples",
                where=self._form.where,
                do="Make its __len__ and its __iter__ agree.",
            )
        if self.count not in (None, count):
            raise UsageError(
                f"gave {count} examples, and {self.count} the time before",
                where=self._form.where,
                do="Make it give the same examples each time.",
            )
        self.count = count

    def _none(self) -> UsageError:
        return UsageError(
            "gave no examples", where=self._form.where, do="Check the loader; every split needs at least one."
        )


def _said(given: Any) -> int | None:
    """The length that something says it has. None where it says none, as a `__len__` that raises TypeError does
    (`operator.length_hint` takes it so): a chain of streams has such a one."""
    try:
        return len(given) if hasattr(given, "__len__") else None
    except TypeError:
        return None


def _is_there(given: Any, number: int) -> bool:
    try:
        given[number]
    except Exception:  # noqa: BLE001 - the user's own, which may raise anything where it has none
        return False
    return True


_END = object()
