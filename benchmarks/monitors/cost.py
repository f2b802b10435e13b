"""What something costs in processor time: the least of several repetitions, so that other work hardly counts."""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable


def cost(work: Callable[[], object], predictions: int = 1, number: int | None = None, repeat: int = 15) -> float:
    """Nanoseconds of processor time for one prediction.

    Args:
        predictions: how many `work` takes at once.
        number: how often it is called in each repetition; None: some milliseconds' worth.
    """
    number = number or max(200, 10_000 // predictions)
    times = timeit.repeat(work, number=number, repeat=repeat, timer=time.process_time)
    return min(times) / number / predictions * 1e9
