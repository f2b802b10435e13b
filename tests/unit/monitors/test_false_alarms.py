"""However often they look, the tests that may roll back keep the declared rate of false alarms: simulated, seed fixed.

The canaries are exactly at the tolerated drop, the worst that must still pass. Bets and lines are those that the rules
are written with. Each bound is one that chance exceeds once in ten thousand where the promise holds; that a decider
with one thing wrong does exceed it is tested beside.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import pytest
from canary_lives import first_crossings
from numpy.typing import NDArray

from makeweight_monitors.eprocess import CEILING, Bet, evalue, paired, shared, two_samples
from makeweight_monitors.rules.terms import Terms

pytestmark = pytest.mark.long

DROP = 0.01
ALPHA = 0.05
RUNS = 2_000
SLICES = [f"slice {number}" for number in range(8)]
TERMS = Terms("digits", alpha=ALPHA, drop=DROP, slices=dict.fromkeys(SLICES, DROP), class_drop=DROP, classes=10)
SHARE = ALPHA / 5
"""Of failures, paired, split, slices and classes each."""
WRONG = {"canary": 0.06, "stable": 0.05}


def most(rate: float, runs: int = RUNS) -> int:
    """As many of `runs` as chance brings about once in ten thousand where each has probability `rate`."""
    from scipy.stats import binom

    return int(binom.isf(1e-4, runs, rate))


def alarms(bets: tuple[Bet, ...], line: float, harm: float, help_: float, runs: int = RUNS) -> int:
    """How many canaries are ever rolled back, looked at after every fourth request of 6,000."""
    crossed = first_crossings(bets, line, chances=(harm, help_), pairs=4, looks=1_500, runs=runs, seed=1)
    return int(np.count_nonzero(crossed))


def two_sample_alarms(
    line: float, canary: int, stable: int, drop: float = DROP, late: int = 0, runs: int = RUNS
) -> int:
    """How many canaries are ever rolled back, looked at 150 times, after so many labels of each arm; stable's come from
    the look `late` on.
    """
    random = np.random.default_rng(5)
    looks = 150
    counts = [np.full((runs, looks), count) for count in (canary, stable)]
    counts[1][:, :late] = 0
    wrong = [random.binomial(count, rate) for count, rate in zip(counts, WRONG.values(), strict=True)]
    k, n, j, m = (np.cumsum(one, axis=1) for pair in zip(wrong, counts, strict=True) for one in pair)
    return int(np.count_nonzero((two_samples(drop, k, n, j, m) >= line).any(axis=1)))


def counts(runs: int, looks: int, pairs: int, harm: float, help_: float, seed: int) -> NDArray[np.int64]:
    """Harms, helps and ties up to each look, [3, runs, looks]."""
    random = np.random.default_rng(seed)
    worse = random.binomial(pairs, harm, (runs, looks))
    better = random.binomial(pairs - worse, help_ / (1 - harm))
    return np.cumsum(np.stack([worse, better, pairs - worse - better]), axis=2)


@pytest.mark.parametrize(("harm", "help_"), [(0.025, 0.015), (0.011, 0.001), (0.2, 0.19)])
def test_pairs(harm: float, help_: float) -> None:
    assert 0 < alarms(paired(DROP), TERMS.line("paired"), harm, help_) <= most(SHARE)


@pytest.mark.parametrize(
    ("canary", "stable", "late"),
    [(5, 95, 0), (6, 94, 0), (50, 40, 0), (20, 4, 0), (20, 80, 60)],
    ids=["a small share", "a little more", "labels for 80 % of stable", "a fifth of stable's replicas", "stable late"],
)
def test_split_traffic_whatever_the_shares(canary: int, stable: int, late: int) -> None:
    runs = 500
    assert two_sample_alarms(TERMS.line("split"), canary, stable, late=late, runs=runs) <= most(SHARE, runs)


def slice_alarms(line: float) -> int:
    crossed = np.zeros(RUNS, bool)
    for seed in range(len(SLICES)):
        found = first_crossings(paired(DROP), line, chances=(0.025, 0.015), pairs=10, looks=300, runs=RUNS, seed=seed)
        crossed |= found > 0
    return int(np.count_nonzero(crossed))


def test_any_of_many_slices() -> None:
    assert 0 < slice_alarms(TERMS.line("slice")) <= most(SHARE)


LOOKS, WATCHED, EVERY, AGES = 3_000, 1_000, 40, (40, 240, 1_440)


@functools.cache
def restarted_alarms(line: float) -> tuple[int, int]:
    """How many of WATCHED canaries are ever rolled back by tests that also begin anew, at every 40th of LOOKS: where
    all that begin share the error, and where each has all of it."""
    runs, now, starts = 100, np.arange(LOOKS), (LOOKS / EVERY + 1, 1)
    crossed = np.zeros(len(starts), int)
    for seed in range(WATCHED // runs):
        seen = counts(runs, LOOKS, 20, 0.025, 0.015, seed)
        later = []
        for age in AGES:
            begun = (now - age) // EVERY * EVERY
            before = np.where(begun >= 0, seen[:, :, begun], 0)
            later.append(np.where(begun >= 0, evalue(paired(DROP), *(seen - before)), 0))
        whole = evalue(paired(DROP), *seen)
        crossed += [int((shared(whole, later, each) >= line).any(axis=1).sum()) for each in starts]
    return int(crossed[0]), int(crossed[1])


def test_tests_that_begin_anew() -> None:
    sharing, _ = restarted_alarms(1 / ALPHA)
    assert 0 < sharing <= most(ALPHA, WATCHED)


def all_alarms(line: dict[str, float], alpha: float, runs: int) -> int:
    """Whole, slices and classes of the same pairs: their evidence goes together, and alpha covers them all."""
    random = np.random.default_rng(7)
    slices, classes, looks = 2, 4, 300
    shape = (runs, looks, slices, classes)
    worse = random.binomial(3, 0.025, shape)
    better = random.binomial(3 - worse, 0.015 / 0.975)
    seen = np.cumsum(np.stack([worse, better, 3 - worse - better]), axis=2)
    crossed = (evalue(paired(DROP), *seen.sum(axis=(3, 4))) >= line["paired"]).any(axis=1)
    crossed |= (evalue(paired(DROP), *seen.sum(axis=4)) >= line["slice"]).any(axis=(1, 2))
    crossed |= (evalue(paired(DROP), *seen.sum(axis=3)) >= line["class"]).any(axis=(1, 2))
    return int(np.count_nonzero(crossed))


def test_all_tests_together() -> None:
    alpha, runs = 0.2, 600
    terms = dataclasses.replace(TERMS, alpha=alpha, slices={"a": DROP, "b": DROP}, classes=4)
    lines = {test: terms.line(test) for test in ("paired", "slice", "class")}
    assert 0 < all_alarms(lines, alpha, runs) <= most(alpha * 3 / 5, runs)
    assert all_alarms(dict.fromkeys(lines, 1 / alpha), alpha, runs) > most(alpha * 3 / 5, runs)


def without_ties(bets: tuple[Bet, ...]) -> tuple[Bet, ...]:
    return tuple(dataclasses.replace(bet, tie=0.0) for bet in bets)


@pytest.mark.parametrize(
    "bets",
    [
        pytest.param(paired(0.0), id="no drop is tolerated"),
        pytest.param(without_ties(paired(DROP)), id="ties do not count"),
        pytest.param(tuple(dataclasses.replace(bet, help=bet.help / 2) for bet in paired(DROP)), id="help counts half"),
    ],
)
def test_the_bound_refuses_wrong_bets(bets: tuple[Bet, ...]) -> None:
    assert alarms(bets, TERMS.line("paired"), 0.025, 0.015) > most(SHARE)


def test_the_bound_refuses_alpha_that_is_not_shared() -> None:
    runs = 10 * RUNS  # some 2 % are called, where 1.25 % may be
    assert alarms(paired(DROP), 1 / ALPHA, 0.025, 0.015, runs) > most(SHARE, runs)
    assert slice_alarms(5 / ALPHA) > most(SHARE)


def test_the_bound_refuses_two_samples_held_against_no_drop() -> None:
    runs = 500
    assert two_sample_alarms(10, 500, 500, drop=0.0, runs=runs) > most(SHARE, runs)


def test_the_bound_refuses_tests_that_begin_anew_and_share_nothing() -> None:
    _, not_sharing = restarted_alarms(1 / ALPHA)
    assert not_sharing > most(ALPHA, WATCHED)


def test_many_e_values_are_those_of_one_after_the_other() -> None:
    some = np.array([[0, 3, 10_000], [0, 1, 0], [0, 40, 7]])
    bets = paired(DROP)

    def capital(bet: Bet, harm: int, help_: int, tie: int) -> float:
        """The product of what each event brings, one after the other."""
        gains = (1 + bet.stake * (x - DROP) for x, count in ((1, harm), (-1, help_), (0, tie)) for _ in range(count))
        return min(math.prod(gains), math.exp(700))

    one_by_one = [min(CEILING, sum(capital(bet, *map(int, column)) for bet in bets) / len(bets)) for column in some.T]
    assert evalue(bets, *some) == pytest.approx(one_by_one)
