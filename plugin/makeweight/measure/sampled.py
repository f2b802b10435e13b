"""Intervals from samples: of a mean of differences, and of a quantile of times. Pure functions of arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.measure.statistics import Interval, z_of


def mean_difference(differences: NDArray[Any], confidence: float = 0.95) -> Interval:
    """Interval of the mean of paired differences, by the central limit theorem."""
    n = len(differences)
    mean = float(np.mean(differences))
    if n < 2:
        return -math.inf, math.inf
    half = z_of(confidence) * float(np.std(differences, ddof=1)) / math.sqrt(n)
    return mean - half, mean + half


def quantile_interval(samples: NDArray[Any], q: float, confidence: float = 0.95) -> Interval | None:
    """Distribution-free interval of a quantile, from order statistics (David and Nagaraja, "Order Statistics", 7.1).

    None when there are too few samples for both ends to exist.
    """
    n = len(samples)
    if n == 0:
        return None
    below = _binomial_cdf(n, q)
    tail = (1 - confidence) / 2
    low = int(np.searchsorted(below, tail, side="right")) - 1
    high = int(np.searchsorted(below, 1 - tail, side="left"))
    if low < 0 or high >= n:
        return None
    ordered = np.sort(samples)
    return float(ordered[low]), float(ordered[high])


def _binomial_cdf(n: int, p: float) -> NDArray[np.float64]:
    """P(X <= k) for k = 0..n, X binomial(n, p)."""
    k = np.arange(n + 1)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    log_pmf = log_factorial[n] - log_factorial[k] - log_factorial[n - k] + k * math.log(p) + (n - k) * math.log1p(-p)
    cdf: NDArray[np.float64] = np.cumsum(np.exp(log_pmf))
    return cdf
