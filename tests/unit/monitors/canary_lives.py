"""Lives of simulated canaries, looked at over and over: when the evidence would roll each of them back."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from makeweight_monitors.eprocess import Bet, evalue


def first_crossings(
    bets: Sequence[Bet],
    line: float,
    *,
    chances: tuple[float, float],
    pairs: int,
    looks: int,
    runs: int,
    seed: int,
) -> NDArray[np.int64]:
    """At which look each of `runs` canaries is rolled back; 0 for never. Shape [runs].

    Only pairs of which one is right are drawn, with the ties between them: after a tie or a help no bet is worth more
    than before, so that a line is first crossed at a look that saw a harm.

    Args:
        chances: the probabilities of harm and of help for one pair.
        pairs: how many come between two looks.
    """
    random = np.random.default_rng(seed)
    untied = sum(chances)
    expected = looks * pairs * untied
    most = int(expected + 10 * math.sqrt(expected) + 10)  # beyond it once in 10^20 runs
    at = np.zeros(runs, dtype=np.int64)
    chunk = max(1, 500_000 // most)
    for begin in range(0, runs, chunk):
        size = (min(chunk, runs - begin), most)
        look = -(-np.cumsum(random.geometric(untied, size), axis=1) // pairs)
        worse = np.cumsum(random.random(size) < chances[0] / untied, axis=1)
        both = np.arange(1, most + 1)
        # pairs of one look are seen together
        seen = (look <= looks) & np.diff(look, axis=1, append=looks + 1).astype(bool)
        over = seen & (evalue(bets, worse, both - worse, look * pairs - both) >= line)
        first = over.argmax(axis=1)[:, None]
        at[begin : begin + chunk] = np.where(over.any(axis=1), np.take_along_axis(look, first, 1)[:, 0], 0)
    return at
