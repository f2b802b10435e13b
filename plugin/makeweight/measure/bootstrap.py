"""The bootstrap: how a figure of the whole set would vary, had other examples of the same kind been drawn.

Efron, "Bootstrap Methods: Another Look at the Jackknife", Annals of Statistics 7(1), 1979; the percentile interval:
Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13. Pure functions of numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from makeweight.measure.statistics import Interval

RESAMPLES, SEED = 1000, 0
METHOD = f"95 % interval (percentile bootstrap over examples, {RESAMPLES:,} resamples, seed {SEED})"

Weights = NDArray[np.float64]
"""How often each example is in each resample, shape [resamples, examples]; all ones: the examples as they are."""
Statistic = Callable[[Weights], Mapping[str, NDArray[np.float64]]]
"""Figures of a model by name, each of shape [resamples]; NaN where a resample has none."""

# Numbers of one block of resamples: enough for fast products, few enough for the caches and for memory.
_BLOCK = 1 << 21


def whole(examples: int) -> Weights:
    """The examples as they are, each once."""
    return np.ones((1, examples))


def draws(examples: int) -> Iterator[Weights]:
    """`RESAMPLES` times as many examples as there are, drawn with replacement; the same at every call, in blocks."""
    rng = np.random.default_rng(SEED)
    size = max(1, min(RESAMPLES, _BLOCK // max(examples, 1)))
    for start in range(0, RESAMPLES, size):
        rows = min(size, RESAMPLES - start)
        drawn = rng.integers(0, examples, (rows, examples)) + np.arange(rows)[:, None] * examples
        yield np.bincount(drawn.ravel(), minlength=rows * examples).reshape(rows, examples).astype(np.float64)


def resampled(examples: int, *statistics: Statistic) -> list[dict[str, NDArray[np.float64]]]:
    """The figures of several models on the same resamples, each of shape [RESAMPLES]."""
    blocks: list[list[Mapping[str, NDArray[np.float64]]]] = [[] for _ in statistics]
    for weights in draws(examples):
        for gathered, statistic in zip(blocks, statistics, strict=True):
            gathered.append(statistic(weights))
    return [{name: np.concatenate([block[name] for block in gathered]) for name in gathered[0]} for gathered in blocks]


def interval(figures: NDArray[np.float64], confidence: float) -> Interval | None:
    """The percentile interval; None where a resample has no finite figure."""
    if not np.isfinite(figures).all():
        return None
    low, high = np.quantile(figures, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
