"""The anytime-valid sign test: what it promises however often it is looked at, and that its two faces agree."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeweight_probe.sequential import ALPHA, confidence_sequence, decide, log_wealth


def test_the_wealth_of_a_fair_game_is_a_martingale() -> None:
    """The mean over the next pair's two sides is the wealth now: that is what Ville's inequality asks for."""
    hits, misses = np.meshgrid(np.arange(60), np.arange(60))
    now = np.exp(log_wealth(hits, misses))
    following = (np.exp(log_wealth(hits + 1, misses)) + np.exp(log_wealth(hits, misses + 1))) / 2
    np.testing.assert_allclose(following, now, rtol=1e-10)
    assert float(log_wealth(0, 0)) == pytest.approx(0.0)


def test_looking_after_every_pair_raises_false_alarms_as_seldom_as_promised() -> None:
    """A/A: the median lies exactly on the limit. Simulated, with a look after each of 1000 pairs."""
    rng = np.random.default_rng(11)
    above = np.cumsum(rng.random((1200, 1000)) < 0.5, axis=1)
    below = np.arange(1, 1001) - above
    bar = math.log(2 / ALPHA)
    alarmed = (log_wealth(above, below) >= bar).any(axis=1) | (log_wealth(below, above) >= bar).any(axis=1)
    assert 0.005 < alarmed.mean() <= ALPHA, "seldom enough, and not by never deciding anything"


def test_a_clear_majority_is_found_soon() -> None:
    rng = np.random.default_rng(12)
    for share, pairs in ((0.6, 1000), (0.75, 120), (0.95, 30)):
        above = (rng.random((300, pairs)) < share).sum(axis=1)
        decided = log_wealth(above, pairs - above) >= math.log(2 / ALPHA)
        assert decided.mean() > 0.98, (share, pairs)


@pytest.mark.parametrize(
    ("above", "below", "decision"),
    # seven pairs all on one side bring the mean of 1.05^7, 1.1^7 … 1.95^7 to 30.4, eight to 55; the bar is 2/0.05 = 40
    [(7, 0, "undecided"), (8, 0, "over"), (0, 7, "undecided"), (0, 8, "within"), (0, 0, "undecided")],
)
def test_small_counts_worked_by_hand(above: int, below: int, decision: str) -> None:
    ratios = np.log(np.array([1.2] * above + [1.0] * below))
    assert decide(ratios, 1.05) == decision


def test_the_first_interval_needs_eight_pairs() -> None:
    assert confidence_sequence(np.zeros(0)) == (0.0, math.inf)
    assert confidence_sequence(np.zeros(7)) == (0.0, math.inf)
    assert confidence_sequence(np.zeros(8)) == (1.0, 1.0)


def test_pairs_at_the_limit_count_for_neither_side() -> None:
    assert decide(np.zeros(1000), 1.0) == "undecided"


log_ratios = st.lists(
    # few distinct values, so that ties are common (a coarse clock), or any
    st.sampled_from([-0.3, -0.1, 0.0, 0.1, 0.3]) | st.floats(-2, 2),
    max_size=80,
).map(np.array)


@given(log_ratios, st.floats(0.2, 5) | st.sampled_from([math.exp(x) for x in (-0.2, -0.1, 0.0, 0.1, 0.2)]))
def test_the_interval_holds_exactly_the_limits_that_are_undecided(ratios: np.ndarray, limit: float) -> None:
    low, high = confidence_sequence(ratios)
    decision = decide(ratios, limit)
    if low * (1 + 1e-12) < limit < high * (1 - 1e-12):
        assert decision == "undecided"
    elif limit < low * (1 - 1e-12):
        assert decision == "over"
    elif limit > high * (1 + 1e-12):
        assert decision == "within"


@given(log_ratios, st.floats(0.2, 5))
def test_exchanging_the_arms_turns_the_decision_round(ratios: np.ndarray, limit: float) -> None:
    turned = {"over": "within", "within": "over", "undecided": "undecided"}
    if not np.isclose(ratios, math.log(limit)).any():
        assert decide(-ratios, 1 / limit) == turned[decide(ratios, limit)]


@given(log_ratios, st.floats(0.2, 5))
def test_asking_for_more_certainty_never_decides_more(ratios: np.ndarray, limit: float) -> None:
    if decide(ratios, limit, alpha=0.01) != "undecided":
        assert decide(ratios, limit, alpha=0.05) == decide(ratios, limit, alpha=0.01)
    (low, high), (wide_low, wide_high) = confidence_sequence(ratios), confidence_sequence(ratios, alpha=0.01)
    assert wide_low <= low <= high <= wide_high


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_wealth_is_finite_and_grows_with_hits(hits: int, misses: int) -> None:
    wealth = float(log_wealth(hits, misses))
    assert math.isfinite(wealth)
    assert float(log_wealth(hits + 1, misses)) > wealth
    assert float(log_wealth(hits, misses + 1)) < wealth
