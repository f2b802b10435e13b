"""Intervals and tests for what is counted, and how many samples it takes. Pure functions of numbers."""

from __future__ import annotations

import functools
import itertools
import math
from statistics import NormalDist

Interval = tuple[float, float]

MEDIAN = 0.5
# Of anything; more than a median's own interval takes.
_FEWEST_SAMPLES = 32
# How seldom so few slow inferences would come by chance, were the quantile higher.
_BY_CHANCE = 0.01
# No interval that is counted is wider than this many times the room it should fit in.
_WIDEST = 1e9


@functools.cache
def samples_needed(quantile: float) -> int:
    """How many inferences a quantile (0.99) of their times needs: 64 for 0.9, 662 for 0.99, and never less than 32.

    The query counts below which MLPerf Inference's LoadGen does not stop (its rules, "early stopping"): the fewest of
    which it happens once in a hundred at most that no more than one lies above the quantile.
    """

    def one_at_most(n: int) -> float:
        return float(quantile**n + n * (1 - quantile) * quantile ** (n - 1))

    return next(n for n in itertools.count(_FEWEST_SAMPLES) if one_at_most(n) <= _BY_CHANCE)


def z_of(confidence: float) -> float:
    """The standard normal quantile of a two-sided confidence: 1.96 for 0.95."""
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Score interval of a share (Wilson, 1927). (0, 1) when n is 0."""
    if n == 0:
        return 0.0, 1.0
    z, p = z_of(confidence), successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # the ends are exact where rounding would leave 4e-19
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == n else centre + half)


def paired_difference(harm: int, gain: int, n: int, confidence: float = 0.95) -> Interval:
    """Interval of (harm - gain) / n, the drop of a share on the same n examples.

    The adjusted Wald interval of Bonett and Price ("Adjusted Wald confidence interval for a difference of binomial
    proportions based on paired data", J. Educ. Behav. Stat. 37(4), 2012): holds its level also for few or no flips.

    Args:
        harm: examples that the baseline has right and the variant wrong.
        gain: the other way round.
    """
    p, q = (harm + 1) / (n + 2), (gain + 1) / (n + 2)
    half = z_of(confidence) * math.sqrt(max(p + q - (p - q) ** 2, 0.0) / (n + 2))
    return max(-1.0, p - q - half), min(1.0, p - q + half)


def mcnemar(harm: int, gain: int) -> float:
    """Exact two-sided p-value of McNemar's test (1947): are flips either way equally likely? 1 without flips."""
    flips = harm + gain
    if flips == 0:
        return 1.0
    term = tail = 1  # binomial coefficients, each from the one before
    for k in range(min(harm, gain)):
        term = term * (flips - k) // (k + 1)
        tail += term
    return float(min(1.0, 2 * tail / 2**flips))


def at_confidence(interval: Interval, confidence: float, known: float = 0.95) -> Interval:
    """A symmetric (Wald-like) interval at another confidence: the half-width goes with the normal quantile."""
    centre, half = sum(interval) / 2, (interval[1] - interval[0]) / 2 * z_of(confidence) / z_of(known)
    return centre - half, centre + half


def examples_needed(n: int, half_width: float, room: float) -> int | None:
    """About how many examples would shrink a half-width to `room`, at the spread seen on n (it goes with 1/sqrt(n)).

    None when no number would: there is no room.
    """
    return None if room <= 0 else math.ceil(n * min(half_width / room, _WIDEST) ** 2)
