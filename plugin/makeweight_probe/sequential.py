"""An anytime-valid sign test for the median of paired log-ratios: look as often as you like, stop when it is decided.

Under "at most half of the pairs lie above the limit", the wealth of a gambler who bets a share of it on every pair
lying above is a supermartingale, so by Ville's inequality it ever reaches 1/alpha with probability at most alpha
(Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting", 2023; arXiv 2010.09686). The bets
are fixed in advance and mixed, so the wealth depends on two counts only and a decision can be replayed from stored
samples, for any limit, also one that was not thought of while measuring.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

ALPHA = 0.05
# Small bets notice a slight majority in many pairs, large ones a landslide in a few.
_BETS = np.array([0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95])

Decision = Literal["over", "within", "undecided"]
Floats = NDArray[Any]


def log_wealth(hits: Floats | int, misses: Floats | int) -> Floats:
    """Log of the mixed wealth after so many pairs on the side betted on, and so many on the other."""
    won = np.multiply.outer(np.asarray(hits, dtype=float), np.log1p(_BETS))
    lost = np.multiply.outer(np.asarray(misses, dtype=float), np.log1p(-_BETS))
    total = won + lost
    top = total.max(axis=-1, keepdims=True)
    mixed: Floats = np.squeeze(top, -1) + np.log(np.exp(total - top).mean(axis=-1))
    return mixed


def decide(log_ratios: Floats, limit: float, alpha: float = ALPHA) -> Decision:
    """Does the median of time(b)/time(a) lie over the limit, within it, or can it not be told yet?

    Pairs exactly at the limit count for neither side.
    """
    edge = math.log(limit)
    above = int(np.count_nonzero(log_ratios > edge))
    below = int(np.count_nonzero(log_ratios < edge))
    # two one-sided tests: half of alpha each, so that either error together stays below alpha
    bar = math.log(2 / alpha)
    if float(log_wealth(above, below)) >= bar:
        return "over"
    if float(log_wealth(below, above)) >= bar:
        return "within"
    return "undecided"


def all_decided(a: Floats, b: Floats, limits: Sequence[float]) -> bool:
    """Whether paired times leave no limit open."""
    if not limits:
        return True
    log_ratios = np.log(b / a)
    return all(decide(log_ratios, limit) != "undecided" for limit in limits)


def confidence_sequence(log_ratios: Floats, alpha: float = ALPHA) -> tuple[float, float]:
    """The limits that `decide` leaves undecided, as (low, high) ratios: holds at every sample size at once.

    (0, inf) while there are too few pairs to exclude anything.
    """
    n = len(log_ratios)
    if n == 0:
        return 0.0, math.inf
    counts = np.arange(n + 1)
    enough = np.nonzero(log_wealth(counts, n - counts) >= math.log(2 / alpha))[0]
    if len(enough) == 0:
        return 0.0, math.inf
    needed = int(enough[0])
    ordered = np.sort(np.asarray(log_ratios, dtype=float))
    return math.exp(float(ordered[n - needed])), math.exp(float(ordered[needed - 1]))
