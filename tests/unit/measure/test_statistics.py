"""Intervals and tests against published and hand-worked figures, and against what they promise."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeweight.measure.sampled import mean_difference, quantile_interval
from makeweight.measure.statistics import (
    at_confidence,
    examples_needed,
    mcnemar,
    paired_difference,
    samples_needed,
    wilson,
    z_of,
)


@pytest.mark.parametrize(
    ("successes", "n", "interval"),
    # Newcombe, "Two-sided confidence intervals for the single proportion", Stat. Med. 17 (1998), table I, method 3
    [
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0000, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_wilson_as_published(successes: int, n: int, interval: tuple[float, float]) -> None:
    assert wilson(successes, n) == pytest.approx(interval, abs=5e-5)


def test_wilson_of_nothing_says_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 5000), st.data())
def test_wilson_holds_the_share_and_mirrors(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    low, high = wilson(k, n)
    assert 0 <= low <= k / n <= high <= 1
    assert wilson(n - k, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)
    assert wilson(k, n, 0.99)[0] <= low


def test_bonett_price_worked_by_hand() -> None:
    """10 harmed, 4 gained of 100: p = 11/102, q = 5/102, so the difference is 6/102, its standard error
    sqrt((16/102 - (6/102)^2) / 102) = 0.038781, and 1.959964 of those are 0.076009."""
    assert paired_difference(10, 4, 100) == pytest.approx((-0.017186, 0.134833), abs=1e-6)
    # without a flip: p = q = 1/102, half = 1.959964 * sqrt((2/102) / 102)
    half = 1.959964 * math.sqrt(2) / 102
    assert paired_difference(0, 0, 100) == pytest.approx((-half, half), abs=1e-6)


@given(st.integers(1, 2000), st.data())
def test_bonett_price_mirrors_and_stays_in_range(n: int, data: st.DataObject) -> None:
    harm = data.draw(st.integers(0, n))
    gain = data.draw(st.integers(0, n - harm))
    low, high = paired_difference(harm, gain, n)
    assert -1 <= low < high <= 1
    assert paired_difference(gain, harm, n) == pytest.approx((-high, -low))


@pytest.mark.parametrize(("flips", "n"), [(0.02, 200), (0.1, 100), (0.3, 50)])
def test_bonett_price_covers_as_promised(flips: float, n: int) -> None:
    """Simulated: harm and gain equally likely, so the true difference is 0."""
    rng = np.random.default_rng(5)
    counts = rng.multinomial(n, [flips / 2, flips / 2, 1 - flips], size=4000)
    covered = np.mean([low <= 0 <= high for low, high in (paired_difference(h, g, n) for h, g, _ in counts)])
    assert covered >= 0.94


@pytest.mark.parametrize(
    ("quantile", "needed"),
    # the tails as MLPerf Inference's rules have them: 64 of a single stream's 90th, 662 of several streams' 99th
    [(0.5, 32), (0.9, 64), (0.99, 662)],
)
def test_a_quantile_needs_its_samples(quantile: float, needed: int) -> None:
    assert samples_needed(quantile) == needed


def test_a_quantile_of_which_nothing_is_published_needs_what_the_binomial_distribution_says() -> None:
    from scipy.stats import binom

    needed = samples_needed(0.999)
    assert binom.cdf(1, needed, 0.001) <= 0.01 < binom.cdf(1, needed - 1, 0.001)


@pytest.mark.parametrize(
    ("harm", "gain", "p"),
    # 2 * (1 + 10 + 45) / 2^10; 2 / 2^5; (1 + 6 + 15 + 20) * 2 / 2^6 is above 1
    [(8, 2, 0.109375), (2, 8, 0.109375), (5, 0, 0.0625), (3, 3, 1.0), (0, 0, 1.0), (1, 0, 1.0)],
)
def test_mcnemar_exact(harm: int, gain: int, p: float) -> None:
    assert mcnemar(harm, gain) == p


def test_mcnemar_of_many_flips_neither_overflows_nor_vanishes() -> None:
    assert mcnemar(2000, 2000) == 1.0
    z = (2100 - 1900 - 1) / math.sqrt(4000)  # with continuity correction
    assert mcnemar(2100, 1900) == pytest.approx(2 * (1 - NormalDist().cdf(z)), rel=0.01)


def test_z() -> None:
    assert z_of(0.95) == pytest.approx(1.959964, abs=1e-6)
    assert z_of(0.99) == pytest.approx(2.575829, abs=1e-6)


def test_another_confidence_scales_the_half_width() -> None:
    assert at_confidence((0.0, 2.0), 0.95) == (0.0, 2.0)
    low, high = at_confidence((0.0, 2.0), 0.99)
    assert (low + high, high - low) == pytest.approx((2.0, 2 * 2.575829 / 1.959964), abs=1e-5)


@given(st.integers(1, 100_000), st.floats(1e-6, 1), st.floats(1e-6, 1))
def test_so_many_examples_shrink_the_half_width_to_the_room(n: int, half: float, room: float) -> None:
    needed = examples_needed(n, half, room)
    assert needed is not None
    assert half * math.sqrt(n / max(needed, 1)) <= room * (1 + 1e-9) or needed == 0


def test_no_room_no_number() -> None:
    assert examples_needed(100, 0.1, 0.0) is None
    assert examples_needed(100, 0.1, -0.1) is None
    assert examples_needed(100, 0.1, 5e-324) is not None


def test_mean_of_differences_by_hand() -> None:
    # mean 2, standard deviation 1, so 1.959964 / sqrt(3) either way
    assert mean_difference(np.array([1.0, 2.0, 3.0])) == pytest.approx((0.868414, 3.131586), abs=1e-6)
    assert mean_difference(np.array([1.0])) == (-math.inf, math.inf)


@pytest.mark.parametrize(
    ("n", "q", "confidence", "ranks"),
    # ranks (from 1) of the usual tables for the median: P(low rank <= B < high rank) with B binomial(n, 1/2)
    [
        (6, 0.5, 0.95, (1, 6)),
        (10, 0.5, 0.95, (2, 9)),
        (20, 0.5, 0.95, (6, 15)),
        (100, 0.5, 0.95, (40, 61)),
        (5, 0.5, 0.95, None),
        (0, 0.5, 0.95, None),
        (1, 0.5, 0.95, None),
        (35, 0.9, 0.95, None),  # 0.9^35 = 0.025035 still exceeds a tail of 0.025
        (36, 0.9, 0.95, (29, 36)),
        (368, 0.99, 0.95, (360, 368)),
        (367, 0.99, 0.95, None),
    ],
)
def test_ranks_of_a_quantiles_interval(n: int, q: float, confidence: float, ranks: tuple[int, int] | None) -> None:
    shuffled = np.random.default_rng(1).permutation(np.arange(1, n + 1))
    assert quantile_interval(shuffled, q, confidence) == ranks


@pytest.mark.parametrize(("n", "q"), [(40, 0.5), (100, 0.9), (662, 0.99)])
def test_a_quantiles_interval_covers_as_promised(n: int, q: float) -> None:
    """Simulated on a skewed distribution, as latencies are: exponential, whose quantiles are known."""
    rng = np.random.default_rng(7)
    truth = -math.log(1 - q)
    intervals = [quantile_interval(rng.exponential(size=n), q) for _ in range(2000)]
    covered = np.mean([found is not None and found[0] <= truth <= found[1] for found in intervals])
    assert 0.94 <= covered <= 0.99
