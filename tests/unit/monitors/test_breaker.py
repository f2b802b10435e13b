"""The breaker: opens within some requests of harm, and hardly ever without."""

from __future__ import annotations

import math

import numpy as np
import pytest

from makeweight_monitors.serving.breaker import Breaker, Opened
from makeweight_monitors.serving.collapse import Collapse, share


def until_open(breaker: Breaker, weight: float, healthy: int = 0, stable_fails: float = 0.0) -> int:
    """How many answers of the canary fail, all of them in a row, until it opens; before that `healthy` ones do not."""
    rng = np.random.default_rng(5)
    canary = 0
    while breaker.opened is None and canary < 2000 + healthy:
        if rng.random() < weight:
            canary += 1
            breaker.outcome("canary", int(canary <= healthy), int(canary > healthy))
        else:
            failed = rng.random() < stable_fails
            breaker.outcome("stable", int(not failed), int(failed))
    return canary - healthy


@pytest.mark.parametrize("weight", [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0])
@pytest.mark.parametrize("healthy", [0, 199, 1000], ids=["from-the-start", "before-a-start", "after-long-health"])
def test_a_total_failure_opens_it_within_50_requests(weight: float, healthy: int) -> None:
    assert until_open(Breaker(), weight, healthy) <= 50


def test_one_failure_opens_nothing() -> None:
    breaker = Breaker()
    breaker.outcome("stable", 1000, 0)
    breaker.outcome("canary", 0, 1)
    assert breaker.opened is None


@pytest.mark.parametrize("weight", [0.05, 0.5])
def test_what_befalls_both_arms_opens_nothing(weight: float) -> None:
    """Half an hour in which nothing works, for neither."""
    assert until_open(Breaker(), weight, stable_fails=1.0) == 2000


def test_a_total_failure_opens_it_within_50_requests_after_a_hundred_million_without_one() -> None:
    breaker = Breaker()
    breaker.outcome("canary", 10**8, 0)
    for _ in range(50):
        breaker.outcome("canary", 0, 1)
    assert breaker.opened is not None
    assert breaker.opened.about == "failed (over 50.5%, whatever stable does)"


def test_half_the_answers_failed_is_taken_for_a_collapse_as_rarely_as_declared() -> None:
    """The most that is taken for granted: at a rate of 5 %, 400 canaries of 500 answers may reach 20 on average; the
    99.9 % bound of that binomial is 35."""
    rng = np.random.default_rng(1)
    found = 0
    for life in rng.random((400, 500)) < 0.5:
        test = Collapse(0.5)
        found += any(test.canary(1, failed) >= 20 for failed in life.astype(int).tolist())
    assert 0 < found <= 35


def test_the_evidence_of_collapse_is_the_sum_over_all_its_beginnings() -> None:
    answers = [False, True, True, False, True, True, True]
    test = Collapse(0.5)
    for failed in answers:
        test.canary(1, int(failed))
    factors = [0.98 / 0.5 if failed else 0.02 / 0.5 for failed in answers]
    expected = sum(share(begin + 1) * math.prod(factors[begin:]) for begin in range(len(answers)))
    assert test.evidence == pytest.approx(expected)


def test_the_shares_of_all_beginnings_add_up_to_less_than_one() -> None:
    """Those of the first ten thousand, and the integral over those after them."""
    most = 10_000
    assert 0.7 < sum(map(share, range(1, most + 1))) + math.log(2) / math.log(most + 2) < 1


def test_a_canary_that_is_no_worse_opens_it_as_rarely_as_declared() -> None:
    """At the edge of what is tolerated: 2 % against 1 %, 200 canaries of 1000 answers. At a rate of 5 %, 10 false ones
    are the most that is allowed on average; the 99.9 % bound of that binomial is 21."""
    rng = np.random.default_rng(0)
    opened = 0
    for _ in range(200):
        breaker = Breaker(drop=0.01, rate=0.05)
        for _ in range(50):
            breaker.outcome("stable", 380 - (bad := int(rng.binomial(380, 0.01))), bad)
            breaker.outcome("canary", 20 - (bad := int(rng.binomial(20, 0.02))), bad)
        opened += breaker.opened is not None
    assert opened <= 21


def test_slow_answers_open_it_where_a_limit_is_declared() -> None:
    silent, watching = Breaker(), Breaker(slow=0.1)
    for breaker in (silent, watching):
        for _ in range(50):
            breaker.latency("stable", 0.02, 19)
            breaker.latency("canary", 0.5)
    assert silent.opened is None
    assert watching.opened is not None
    assert watching.opened.about == "were slower than 0.1 s"


def test_a_latency_that_is_no_number_is_slow() -> None:
    breaker = Breaker(slow=0.1)
    for _ in range(50):
        breaker.latency("stable", 0.02, 19)
        breaker.latency("canary", float("nan"))
    assert breaker.opened is not None


def test_it_tells_why_once_and_stays_open(caplog: pytest.LogCaptureFixture) -> None:
    told: list[Opened] = []
    breaker = Breaker(on_open=told.append)
    breaker.outcome("stable", 950, 0)
    for _ in range(100):
        breaker.outcome("canary", 0, 1)
    breaker.outcome("canary", 10**6, 0)
    assert len(told) == len(caplog.records) == 1
    assert told == [breaker.opened]
    assert told[0].evalue >= told[0].threshold == 2000
    assert told[0].canary_bad == told[0].canary <= 50
    assert "answers of the canary failed, and 0 of 950 of stable: evidence" in caplog.text


def test_a_hook_that_raises_leaves_it_open() -> None:
    breaker = Breaker(on_open=lambda _: 1 / 0)
    breaker.outcome("stable", 950, 0)
    breaker.outcome("canary", 0, 50)
    assert breaker.opened is not None


@pytest.mark.parametrize("wrong", [{"drop": 1.0}, {"drop": float("nan")}, {"rate": 0.0}, {"slow": 0.0}], ids=str)
def test_wrong_bounds_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="not"):
        Breaker(**wrong)  # type: ignore[arg-type]
