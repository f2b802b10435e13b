"""Lives of simulated canaries: what Prometheus would have counted by each minute, and what the tests make of it.

All counts are cumulative, by life and minute, [lives, minutes + 1], from zero.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from makeweight_monitors import durations
from makeweight_monitors.eprocess import evalue, paired, shared, two_samples
from makeweight_monitors.rules import restarts
from makeweight_monitors.rules.promql import Z_RARE

DROP = 0.01
"""Tolerated."""
REQUESTS, PAIRS = 400, 80
"""A minute: of split traffic, both arms together; of pairs (20 in 15 s)."""
STARTS = restarts.many("7d")
EVERY, *AGES = (int(durations.seconds(text) / 60) for text in (restarts.EVERY, *restarts.AGES))
_BETS = paired(DROP)
_PART = 20_000

Counts = NDArray[np.int64]
Rates = float | NDArray[np.float64]
Random = np.random.Generator


class Seen(Protocol):
    """What was counted of some lives."""

    def worth(self, now: Counts, start: Counts) -> NDArray[np.float64]:
        """The e-values of what came between two minutes each, [lives, len(now)]."""
        ...

    def excess(self, now: Counts) -> NDArray[np.float64]:
        """By how many standard deviations labels come more readily where the two differ, [lives, len(now)]."""
        ...


Draw = Callable[[Random, int], Seen]
DrawArms = Callable[[Random, int], "Arms"]


def evidence(seen: Seen, now: Counts, lost: Collection[int] = ()) -> NDArray[np.float64]:
    """What the alert compares with its line, by life and look.

    Args:
        lost: minutes of which Prometheus has no record, so that no test begins there.
    """
    later = []
    for age in AGES:
        start = (now - age) // EVERY * EVERY
        begun = (start >= 0) & ~np.isin(start, list(lost))
        value = np.zeros((1, len(now)))
        if begun.any():
            value = np.where(begun, seen.worth(now, np.maximum(start, 0)), 0.0)
        later.append(value)
    first = seen.worth(now, np.zeros_like(now))
    excess = np.maximum(seen.excess(now), 0.0)
    return np.where(excess > Z_RARE, 0.0, shared(first, later, STARTS) / np.exp(excess**2))


@dataclass(frozen=True)
class Pairs:
    """Shadowed requests, and those of them that got their label; `apart`: the two answered differently."""

    harm: Counts
    help: Counts
    labelled: Counts
    labelled_apart: Counts
    every: Counts
    apart: Counts

    def worth(self, now: Counts, start: Counts) -> NDArray[np.float64]:
        harm, help_, labelled, known, every, apart = (
            (counts[:, now] - counts[:, start]).astype(float)
            for counts in (self.harm, self.help, self.labelled, self.labelled_apart, self.every, self.apart)
        )
        expected = known * every / np.maximum(apart, 1)
        return np.asarray(evalue(_BETS, harm, help_, np.maximum(labelled, expected) - harm - help_))

    def excess(self, now: Counts) -> NDArray[np.float64]:
        labelled, known, every, apart = (
            counts[:, now].astype(float) for counts in (self.labelled, self.labelled_apart, self.every, self.apart)
        )
        share = np.minimum(apart / np.maximum(every, 1), 1 - 1e-9)
        return np.asarray(2 * (np.sqrt(known) - np.sqrt(labelled * share)) / np.sqrt(1 - share))


@dataclass(frozen=True)
class Arms:
    """At each declared share: wrong answers and all answers of the canary, and of stable."""

    shares: Sequence[tuple[Counts, Counts, Counts, Counts]]

    def worth(self, now: Counts, start: Counts) -> NDArray[np.float64]:
        small = 3.0 if len(self.shares) == 1 else 0.1
        value = np.ones((len(self.shares[0][0]), len(now)))
        for counts in self.shares:
            value = value * _two_samples([(one[:, now] - one[:, start]).astype(float) for one in counts], small)
        return value

    def excess(self, now: Counts) -> NDArray[np.float64]:
        return np.zeros((len(self.shares[0][0]), len(now)))


def _two_samples(counts: Sequence[NDArray[np.float64]], small: float) -> NDArray[np.float64]:
    """The e-value. Where its logarithm is below `small`, since that of the likelihood ratio is, which no bet exceeds,
    the latter stands in its place: more rollbacks, not fewer, and a hundredth of the work.
    """
    k, n, j, m = counts
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.clip((k + j - n * DROP) / (n + m), 1e-12, 1 - DROP - 1e-12)
        most = n * _divergence(k / n, rate + DROP) + m * _divergence(j / m, rate)
        most = np.where((n > 0) & (m > 0) & (k / n > j / m + DROP), most, 0.0)
    value = np.exp(np.minimum(most, small))
    rows = np.argwhere(most > small)
    for begin in range(0, len(rows), _PART):
        where = tuple(rows[begin : begin + _PART].T)
        value[where] = two_samples(DROP, *(one[where] for one in counts))
    return value


def _divergence(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of two coins (Kullback and Leibler)."""
    one = np.where(p > 0, p * np.log(np.maximum(p, 1e-300) / q), 0.0)
    return np.asarray(one + np.where(p < 1, (1 - p) * np.log(np.maximum(1 - p, 1e-300) / (1 - q)), 0.0))


def total(counts: NDArray[np.int64], late: int = 0) -> Counts:
    """Cumulative, from counts by minute; `late`: minutes until they are seen."""
    shown = np.zeros((len(counts), counts.shape[1] + 1), np.int64)
    np.cumsum(counts, axis=1, out=shown[:, 1:])
    if late:
        shown[:, late:] = shown[:, :-late].copy()
        shown[:, :late] = 0
    return shown


def without(counts: Counts, gaps: Sequence[tuple[int, int]]) -> Counts:
    """Counts as of when they were last seen, in minutes of which there is no record."""
    for begin, end in gaps:
        counts[:, begin:end] = counts[:, begin - 1 : begin]
    return counts


def pairs(
    harm: Rates,
    help_: Rates,
    minutes: int,
    *,
    both_wrong: float = 0.07,
    labels: float = 1.0,
    apart: float = 1.0,
    canary_wrong: float = 1.0,
    late: int = 0,
    run: int = 1,
    unit: bool = False,
) -> Draw:
    """Pairs with these chances of harm and of help, by minute or for all.

    Args:
        labels: of how many the label comes; `apart`, `canary_wrong`: how many times as often where the two differ, and
            where the canary is wrong.
        late: minutes until a label comes.
        run: so many in a row have one outcome; `unit`: and count as one.
    """

    def draw(random: Random, lives: int) -> Pairs:
        size = (lives, minutes)
        many = np.full(size, PAIRS) if run == 1 else random.poisson(PAIRS / run, size)
        each = 1 if unit else run
        worse = random.binomial(many, harm, size)
        better = random.binomial(many - worse, help_ / (1 - np.asarray(harm)), size)
        wrong = random.binomial(many - worse - better, both_wrong)
        cells = (worse, better, wrong, many - worse - better - wrong)
        odds = (labels * apart * canary_wrong, labels * apart, labels * canary_wrong, labels)
        known = [random.binomial(each * cell, chance) for cell, chance in zip(cells, odds, strict=True)]
        seen = (known[0], known[1], np.sum(known, axis=0), known[0] + known[1])
        harmed, helped, labelled, differing = (total(one, late) for one in seen)
        return Pairs(harmed, helped, labelled, differing, total(each * many), total(each * (worse + better)))

    return draw


def arms(
    stable: Rates,
    rise: Rates,
    share: Rates,
    minutes: int,
    *,
    coverage: float = 1.0,
    canary_wrong: float = 1.0,
    late: tuple[int, int] = (0, 0),
    away: tuple[float, int] = (0.0, 0),
    forgets: int = 0,
    gaps: Sequence[tuple[int, int]] = (),
    run: int = 1,
    unit: bool = False,
    apart: bool = False,
) -> DrawArms:
    """Two arms, each with requests of its own, at rates by minute or for all.

    Args:
        coverage: for how many of stable's answers there is a label; `canary_wrong`: how many times as often as for
            other answers there is one for a wrong one of the canary's, all of which have one.
        late: minutes until the canary's, and stable's, labels come.
        away: the share of stable that is not scraped, and for how many minutes; then its counts come all at once.
        forgets: every so many minutes the canary restarts, and what it counted in that minute is lost.
        gaps: from when until when Prometheus is down.
        run: so many in a row have one outcome and go to one arm; `unit`: and count as one.
        apart: counts are kept by the declared share.
    """

    def draw(random: Random, lives: int) -> Arms:
        size = (lives, minutes)
        every = np.full(size, REQUESTS) if run == 1 else random.poisson(REQUESTS / run, size)
        n = random.binomial(every, share, size)
        m = random.binomial(every - n, coverage)
        k = random.binomial(n, np.asarray(stable) + rise, size)
        n = k + random.binomial(n - k, 1 / canary_wrong)
        j = random.binomial(m, stable, size)
        if run > 1 and not unit:
            k, n, j, m = (run * one for one in (k, n, j, m))
        if forgets:
            k[:, forgets - 1 :: forgets] = n[:, forgets - 1 :: forgets] = 0
        part, until = away
        if until:
            hidden_m = random.binomial(m[:, :until], part)
            hidden_j = random.hypergeometric(j[:, :until], m[:, :until] - j[:, :until], hidden_m)
            for seen, hidden in ((m, hidden_m), (j, hidden_j)):
                seen[:, :until] -= hidden
                if until < minutes:
                    seen[:, until] += hidden.sum(axis=1)
        kept = [np.full(minutes, 1)]
        if apart:
            kept = [(np.asarray(share) == one).astype(int) for one in np.unique(share)]
        delays = (late[0], late[0], late[1], late[1])
        found = []
        for where in kept:
            k_, n_, j_, m_ = (
                without(total(one * where, delay), gaps) for one, delay in zip((k, n, j, m), delays, strict=True)
            )
            found.append((k_, n_, j_, m_))
        return Arms(found)

    return draw
