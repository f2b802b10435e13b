"""The sequential test: what it is made of, how rarely it is wrong however often it is asked, how soon it is right."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from canary_lives import first_crossings
from hypothesis import given
from hypothesis import strategies as st

from makeweight_monitors.eprocess import CEILING, FALLS, RISES, evalue, paired, shared, two_samples

ALPHA = 0.05
RUNS = 2_000


def test_a_bet_is_the_logarithm_of_what_one_event_is_worth() -> None:
    bets = paired(0.01)
    assert [bet.stake for bet in bets] == [0.02, 0.05, 0.1, 0.2, 0.4, 0.8]
    assert bets[2].harm == pytest.approx(0.094400675)
    assert bets[2].help == pytest.approx(-0.106472245)
    assert bets[2].tie == pytest.approx(-0.001000500)
    assert evalue(bets, 0, 0, 0) == 1
    by_hand = sum(1.0 + bet.stake * 0.99 for bet in bets) / 6
    assert evalue(bets, 1, 0, 0) == pytest.approx(by_hand)


@given(drop=st.floats(0, 0.99), harm=st.floats(0, 1))
def test_at_the_margin_no_bet_grows_on_average(drop: float, harm: float) -> None:
    """The mean factor is at most 1 whenever the mean of X is at most the tolerated drop."""
    better = max(0.0, harm - drop)
    if harm + better <= 1:
        for bet in paired(drop):
            mean = harm * math.exp(bet.harm) + better * math.exp(bet.help) + (1 - harm - better) * math.exp(bet.tie)
            assert mean <= 1 + 1e-9


@given(drop=st.floats(0, 0.999))
def test_no_single_event_ruins_a_bet(drop: float) -> None:
    for bet in paired(drop):
        assert bet.help >= math.log(0.05) - 1e-9
        assert bet.harm > 0 or drop > 0.99
        assert bet.tie <= 0


@pytest.mark.parametrize("bad", [-0.01, 1.0, math.nan])
def test_a_drop_that_is_none_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="tolerated drop"):
        paired(bad)


def at_rate(rate: Any, drop: float, rise: float, fall: float, counts: tuple[int, int, int, int]) -> Any:
    """The logarithm of what a bet is worth if stable's rate were known; of many rates, an array of such."""
    k, n, j, m = counts
    most = np.minimum(1.0, rate + drop)
    worth = k * math.log(1 + rise) - n * np.log(1 + rise * most)
    return worth + j * math.log(1 - fall) - m * np.log(1 - fall * rate)


@pytest.mark.parametrize(
    "counts",
    [(3, 40, 2, 60), (0, 5, 9, 10), (20, 20, 0, 1), (1, 500, 0, 0), (0, 0, 3, 7), (40, 300, 300, 6000)],
    ids=["alike", "canary better", "all wrong", "no stable", "no canary", "a small share"],
)
@pytest.mark.parametrize("drop", [0.0, 0.01, 0.3])
def test_two_samples_are_judged_by_the_rate_that_speaks_most_for_the_canary(
    counts: tuple[int, int, int, int], drop: float
) -> None:
    """The least value over a fine grid of rates, for each bet, is what the formula finds."""
    rates = np.linspace(0, 1, 2001)
    least = [at_rate(rates, drop, a, b, counts).min() for a in RISES for b in FALLS]
    expected = np.exp(least).mean()
    found = two_samples(drop, *counts)
    assert found <= expected * (1 + 1e-9)
    assert found == pytest.approx(expected, rel=5e-3)


@given(drop=st.floats(0, 0.5), rate=st.floats(0, 1), rise=st.sampled_from(RISES), fall=st.sampled_from(FALLS))
def test_at_the_margin_no_answer_of_either_arm_grows_a_bet_on_average(
    drop: float, rate: float, rise: float, fall: float
) -> None:
    worse = min(1.0, rate + drop)
    canary = worse * math.exp(at_rate(rate, drop, rise, fall, (1, 1, 0, 0)))
    canary += (1 - worse) * math.exp(at_rate(rate, drop, rise, fall, (0, 1, 0, 0)))
    stable = rate * math.exp(at_rate(rate, drop, rise, fall, (0, 0, 1, 1)))
    stable += (1 - rate) * math.exp(at_rate(rate, drop, rise, fall, (0, 0, 0, 1)))
    assert canary <= 1 + 1e-9
    assert stable <= 1 + 1e-9


def test_two_samples_of_nothing_say_nothing() -> None:
    assert two_samples(0.01, 0, 0, 0, 0) == 1
    assert two_samples(0.01, 0, 0, 50, 100) <= 1
    assert two_samples(0.01, 100, 100, 0, 0) <= 1, "without stable there is nothing to compare with"
    assert two_samples(0.01, 10**6, 10**6, 0, 10**7) == CEILING
    arrays = two_samples(0.01, np.array([1, 20]), np.array([10, 40]), np.array([1, 2]), np.array([10, 40]))
    assert arrays == pytest.approx([two_samples(0.01, 1, 10, 1, 10), two_samples(0.01, 20, 40, 2, 40)])


def test_overwhelming_evidence_stays_a_number() -> None:
    assert evalue(paired(0.01), 10**7, 0, 0) == CEILING
    assert evalue(paired(0.01), 0, 10**7, 0) == 0


def test_half_of_the_error_is_shared_by_the_tests_that_begin_anew() -> None:
    assert shared(3.0, (), 1009) == 1.5
    assert shared(0.25, (2018.0, 1009.0, 0.0), 1009) == pytest.approx((0.25 + 2 + 1) / 2)
    arrays = shared(np.array([1.0, 2.0]), [np.array([10.0, 20.0])], 10)
    assert arrays.tolist() == [1.0, 2.0]
    # all of them worth 1, as none has seen anything: so is the whole
    assert shared(1.0, [1.0] * 7, 7) == 1


def test_looking_ten_thousand_times_does_not_break_the_promise() -> None:
    """A canary exactly at the tolerated drop: the worst case that must still pass."""
    crossed = first_crossings(
        paired(0.01), 1 / ALPHA, chances=(0.025, 0.015), pairs=1, looks=10_000, runs=RUNS, seed=20
    )
    slack = 3 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)
    assert 0 < np.count_nonzero(crossed) / RUNS <= ALPHA + slack


def test_a_peeked_at_z_test_breaks_it() -> None:
    """The same bound refuses the usual test, so it is no bound that everything keeps."""
    random = np.random.default_rng(20)
    draws = random.choice([1.0, -1.0, 0.0], p=[0.025, 0.015, 0.96], size=(200, 10_000))
    n = np.arange(1, 10_001)
    mean, square = np.cumsum(draws, axis=1) / n, np.cumsum(draws * draws, axis=1) / n
    z = (mean - 0.01) / np.sqrt(np.maximum(square - mean * mean, 1e-12) / n)
    peeked = (z[:, 100:] > 1.645).any(axis=1)
    assert peeked.mean() > 3 * ALPHA


def test_a_harmless_canary_stays() -> None:
    crossed = first_crossings(paired(0.01), 1 / ALPHA, chances=(0.02, 0.02), pairs=20, looks=5_760, runs=300, seed=3)
    assert np.count_nonzero(crossed) == 0


def test_a_ten_point_drop_is_found_within_five_minutes() -> None:
    """20 pairs and one look every 15 s, alpha 0.001 shared by four families of tests."""
    crossed = first_crossings(paired(0.01), 4 / 0.001, chances=(0.12, 0.02), pairs=20, looks=240, runs=1_000, seed=5)
    assert np.count_nonzero(crossed) == 1_000
    assert np.median(crossed) * 15 <= 300


def test_a_three_point_drop_is_found_within_the_day() -> None:
    crossed = first_crossings(paired(0.01), 1 / 0.001, chances=(0.05, 0.02), pairs=20, looks=5_760, runs=100, seed=6)
    assert np.count_nonzero(crossed) == 100
    assert np.median(crossed) * 15 <= 3_600
