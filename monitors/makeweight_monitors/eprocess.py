"""A test of the canary's accuracy that may be looked at as often as one likes. Pure.

Each labelled request yields a bounded X whose mean, under the hypothesis that the canary is good enough, is at most the
tolerated drop d. For a bet l > 0 the product of 1 + l(X - d) is then a supermartingale that starts at 1, and so is the
mean over several bets: the probability that it ever reaches 1/alpha is at most alpha (Ville 1939; betting: Waudby-Smith
and Ramdas, "Estimating means of bounded random variables by betting", arXiv 2010.09686; canaries: Lindon et al., KDD
2022, arXiv 2205.14762). X takes few values, so the product depends on how often each came and on nothing else: counters
that are summed over replicas are all it needs, and a recording rule can compute it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

BETS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
"""Small bets find small drops, large ones find large drops early; their mean does both."""
RISES = (0.05, 0.1, 0.2, 0.35, 0.6, 1.0, 2.0, 5.0, 25.0)
FALLS = (0.003, 0.0044, 0.0065, 0.0095, 0.014, 0.02, 0.03, 0.044, 0.065, 0.095, 0.14, 0.2, 0.3, 0.44, 0.65, 0.95)
"""The same of two samples: what a wrong answer of the canary's adds, and what one of stable's takes. The latter lie
close together because they have to fit the shares of the two, which nobody has to know."""
SIDE = 0.95
"""No bet may lose more than this at once: one unlucky pair must not end the test."""
CEILING = 1e300
"""What a number of 64 bits still holds, whatever is added up: far above every line that a rate can ask for."""

Count = Any
"""How many events of a kind: one number, or an array of them (numpy)."""


@dataclass(frozen=True)
class Bet:
    """What one event of each kind adds to the logarithm of a bet's capital."""

    stake: float
    harm: float
    """The canary is worse: wrong where stable is right."""
    help: float
    """The other way round."""
    tie: float


def paired(drop: float) -> tuple[Bet, ...]:
    """Bets on requests that both models answered: X is +1 (harm), -1 (help), 0 (tie).

    Raises:
        ValueError: `drop` is no fraction from 0 up to, not including, 1.
    """
    if not 0 <= drop < 1:
        raise ValueError(f"a tolerated drop is a fraction from 0 to below 1, not {drop}")
    stakes = sorted({min(bet, SIDE / (drop + 1)) for bet in BETS})
    return tuple(
        Bet(stake, math.log1p(stake * (1 - drop)), math.log1p(-stake * (1 + drop)), math.log1p(-stake * drop))
        for stake in stakes
    )


def evalue(bets: Sequence[Bet], harm: Count, help: Count, tie: Count) -> Any:
    """The mean capital of the bets; at most CEILING, which no threshold reaches. Of arrays of counts, an array."""
    import numpy as np

    logs = (harm * bet.harm + help * bet.help + tie * bet.tie for bet in bets)
    return np.minimum(sum(np.exp(np.minimum(log, 700.0)) for log in logs) / len(bets), CEILING)


def two_samples(drop: float, canary_wrong: Count, canary: Count, stable_wrong: Count, stable: Count) -> Any:
    """The e-value of two arms that answered different requests, from how many each answered and how many of those were
    wrong; nothing is assumed of which arm gets how many, or when. At most CEILING; 1 where nothing came.

    For bets a > 0 and 0 < b < 1 on the canary and against stable, a wrong answer multiplies by 1 + a and by 1 - b, and
    every answer divides by 1 + a(q + d) and by 1 - bq: where stable's rate is q and the canary's at most q + d, that is
    a supermartingale. Stable's rate is not known; the logarithm is convex in q, so its least value stands in a formula,
    is no larger than at the true rate, and is an e-process for all rates at once (composite nulls of two streams:
    Turner, Ly and Grünwald, "Generic e-variables for exact sequential k-sample tests", arXiv 2106.02693).
    """
    import numpy as np

    k, n, j, m = (
        np.asarray(count, np.float64)[..., None, None] for count in (canary_wrong, canary, stable_wrong, stable)
    )
    rise, fall = np.array(RISES)[:, None], np.array(FALLS)
    share = n / np.maximum(n + m, 1)
    null = np.clip(share / fall - (1 - share) * (1 / rise + drop), 0, 1 - drop)
    logs = (
        k * np.log(1 + rise) - n * np.log(1 + rise * (null + drop)) + j * np.log(1 - fall) - m * np.log(1 - fall * null)
    )
    return np.minimum(np.exp(np.minimum(logs, 700.0)).mean(axis=(-2, -1)), CEILING)


def shared(first: Count, later: Iterable[Count], starts: int) -> Any:
    """The e-value of a test that also begins anew, `starts` times at most, so that long health does not outweigh
    late harm. Of the error that is allowed, half goes to the test from the beginning, whose e-value is `first`, and
    half, in equal parts, to the others, of which `later` are looked at.

    Before a test begins it is worth 1, so the weighted mean over all of them is an e-process as each of them is; to
    leave some out makes it no larger. (The sum of Shin, Ramdas and Rinaldo, "E-detectors", arXiv 2203.03532, has no
    shares: it bounds how often one errs; this bounds whether one ever does in a life of so many starts.)
    """
    return (first + sum(later) / starts) / 2
