"""The short way from one answer to its cells: all that does not change is looked up once, and kept in a closure.

It does what `Reader` and `Observer` do for a batch, for the common cases only, and leaves the others to them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from math import exp, inf
from typing import Protocol

from makeweight_monitors.metrics import LATENCY_BUCKETS
from makeweight_monitors.observe.answers import one
from makeweight_monitors.observe.arm import Arm
from makeweight_monitors.observe.counters import Counters
from makeweight_monitors.observe.reading import Reader

SLOWEST = 86_400.0
"""Seconds; a latency beyond is a mistake, and would spoil the sum."""
MANY = 48
"""Classes from which on numpy reads even one answer faster."""
NOT_COUNTED = -1
_TINY = 1e-280
"""Below this, powers of e lose digits."""

Scores = Callable[[list[float], float | None], int]
"""From scores and latency (seconds) to the index of the top class, counted, or NOT_COUNTED."""
Class = Callable[[int, float | None], int]
"""The same from the index of the class."""


class ClassAndBin(Protocol):
    """The same from the index of the class, and the bin of its confidence if that is known."""

    def __call__(self, top: int, latency: float | None, bin: int | None = None) -> int: ...


def not_yet(_: object, __: object) -> int:
    """While it is not known how answers are to be read."""
    return NOT_COUNTED


def of_logits(counters: Counters, arm: Arm, reader: Reader, rows: Sequence[int]) -> Scores:
    """For softmax scores, one for each class."""
    predictions, classes, bins, first, total_time = _cells(arm)
    buckets, inner, columns = LATENCY_BUCKETS, reader.edges, len(rows)

    def count(scores: list[float], latency: float | None) -> int:
        try:
            powers = list(map(exp, scores))
        except OverflowError:
            return NOT_COUNTED
        total = sum(powers)
        # a zero may come from minus infinity, which is to be refused
        if not _TINY < total < inf or 0.0 in powers or len(powers) != columns:
            return NOT_COUNTED
        most = max(powers)
        top = powers.index(most)
        bin = bisect_right(inner, most / total)
        if latency is not None:
            if not 0.0 <= latency <= SLOWEST:
                return NOT_COUNTED
            bucket = bisect_left(buckets, latency)
            nanoseconds = int(latency * 1e9 + 0.5)
        # half the time of a `with`
        lock = counters.lock
        lock.acquire()
        try:
            cells = counters.cells
            cells[predictions] += 1
            cells[classes + rows[top]] += 1
            cells[bins + bin] += 1
            if latency is not None:
                cells[first + bucket] += 1
                cells[total_time] += nanoseconds
        finally:
            lock.release()
        return top

    return count


def of_probabilities(counters: Counters, arm: Arm, reader: Reader, rows: Sequence[int]) -> Scores:
    """For scores that are read in another way, and for one score that stands for two classes."""
    add, inner, columns, kind = of_class(counters, arm, rows), reader.edges, reader.columns, reader.kind or "softmax"

    def count(scores: list[float], latency: float | None) -> int:
        if len(scores) not in columns:
            return NOT_COUNTED
        top, sure = one(scores, kind)
        return add(top, latency, bisect_right(inner, sure))

    return count


def of_class(counters: Counters, arm: Arm, rows: Sequence[int]) -> ClassAndBin:
    """For a class by its index, and the bin of its confidence if that is known."""
    predictions, classes, bins, first, total_time = _cells(arm)
    buckets, many = LATENCY_BUCKETS, len(rows)

    def count(top: int, latency: float | None, bin: int | None = None) -> int:
        if not 0 <= top < many:
            return NOT_COUNTED
        bucket = nanoseconds = 0
        if latency is not None:
            if not 0.0 <= latency <= SLOWEST:
                return NOT_COUNTED
            bucket, nanoseconds = bisect_left(buckets, latency), int(latency * 1e9 + 0.5)
        lock = counters.lock
        lock.acquire()
        try:
            cells = counters.cells
            cells[predictions] += 1
            cells[classes + rows[top]] += 1
            if bin is not None:
                cells[bins + bin] += 1
            if latency is not None:
                cells[first + bucket] += 1
                cells[total_time] += nanoseconds
        finally:
            lock.release()
        return top

    return count


def _cells(arm: Arm) -> tuple[int, int, int, int, int]:
    return arm.predictions, arm.classes, arm.bins, arm.latency, arm.latency_sum
