"""The long way: a batch of answers, and of features, into the cells of an arm. `quick.py` is the short one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np

from makeweight_monitors.metrics import LATENCY_BUCKETS
from makeweight_monitors.observe.arm import Arm
from makeweight_monitors.observe.counters import Counters
from makeweight_monitors.observe.quick import SLOWEST
from makeweight_monitors.observe.reading import Answered


def count_answers(counters: Counters, arm: Arm, answered: Answered, latency: Any) -> int:
    """Count answers, those that failed, and those that are refused.

    Args:
        latency: seconds; one for all, or [n].

    Returns:
        How many latencies are none, which are counted as refused too.

    Raises:
        ValueError: there are other latencies than answers, and nothing is counted.
    """
    rows, bins, kept = answered.rows, answered.bins, answered.kept
    count = answered.count
    if kept is not None:
        rows, bins = (None if one is None else one[kept] for one in (rows, bins))
        count = int(np.count_nonzero(kept))
    buckets, nanoseconds, bad = _latencies(latency, answered) if latency is not None and count else (None, 0, 0)
    with counters.lock:
        array = counters.array
        counters.cells[arm.predictions] += count
        if count and rows is not None:
            by_class = np.bincount(rows)
            array[arm.classes : arm.classes + len(by_class)] += by_class
        if count and bins is not None:
            by_bin = np.bincount(bins)
            array[arm.bins : arm.bins + len(by_bin)] += by_bin
        if isinstance(buckets, int):
            counters.cells[arm.latency + buckets] += count
        elif buckets is not None:
            by_bucket = np.bincount(buckets)
            array[arm.latency : arm.latency + len(by_bucket)] += by_bucket
        counters.cells[arm.latency_sum] += nanoseconds
        for why, failed in answered.failures.items():
            counters.cells[arm.failed[why]] += failed
        for reason, refused in answered.refused.items():
            counters.cells[arm.rejected[reason]] += refused
        counters.cells[arm.rejected["bad_latency"]] += bad
    return bad


def count_feature(counters: Counters, at: int, edges: Sequence[float], values: Any) -> int:
    """Count the values of one feature, one or [n], into the bins between `edges`, whose cells begin at `at`.

    Returns:
        How many are NaN or infinite, and are not counted.

    Raises:
        ValueError, TypeError: they are no numbers.
    """
    numbers = np.asarray(values, np.float64).reshape(-1)
    finite = numbers[np.isfinite(numbers)]
    if len(finite):
        by_bin = np.bincount(np.searchsorted(edges, finite, "right"))
        with counters.lock:
            counters.array[at : at + len(by_bin)] += by_bin
    return len(numbers) - len(finite)


def _latencies(latency: Any, answered: Answered) -> tuple[Any, int, int]:
    """(bucket or buckets, sum in nanoseconds, how many are none) of the answers that are counted."""
    if isinstance(latency, float | int) or np.ndim(latency) == 0:
        seconds = float(latency)
        count = answered.count if answered.kept is None else int(np.count_nonzero(answered.kept))
        if not 0.0 <= seconds <= SLOWEST:
            return None, 0, count
        return bisect_left(LATENCY_BUCKETS, seconds), int(seconds * 1e9 + 0.5) * count, 0
    times = np.asarray(latency, np.float64).reshape(-1)
    if len(times) != answered.count:
        raise ValueError(f"{len(times)} latencies for {answered.count} answers")
    times = times if answered.kept is None else times[answered.kept]
    good = times[(times >= 0) & (times <= SLOWEST)]
    if not len(good):
        return None, 0, len(times)
    buckets = np.searchsorted(LATENCY_BUCKETS, good, "left")
    return buckets, int(np.rint(good * 1e9).astype(np.int64).sum()), len(times) - len(good)
