"""The breaker: opens within some requests of harm, and hardly ever without."""

from __future__ import annotations

import math

import numpy as np
import pytest

from makeweight_monitors.eprocess import two_samples
from makeweight_monitors.serving.apart import Apart
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


def test_a_failure_of_stable_before_it_lost_its_traffic_hides_nothing() -> None:
    breaker = Breaker()
    breaker.outcome("stable", 0, 1)
    breaker.outcome("canary", 100, 0)
    for _ in range(50):
        breaker.outcome("canary", 0, 1)
    assert breaker.opened is not None


@pytest.mark.parametrize("weight", [0.05, 0.5])
def test_what_befalls_both_arms_opens_nothing(weight: float) -> None:
    """Half an hour in which nothing works, for neither."""
    assert until_open(Breaker(), weight, stable_fails=1.0) == 2000


def after_a_step(*, failing: float, stable_failing: float, told: bool = True) -> Breaker:
    """An hour of 1,200 good answers at 5 %, then 1,000 of each arm at 50 %, of which such shares fail."""
    breaker = Breaker()
    for _ in range(60):
        breaker.outcome("stable", 380, 0)
        breaker.outcome("canary", 20, 0)
    if told:
        breaker.step()
    for _ in range(10):
        for arm, worse in (("stable", stable_failing), ("canary", failing)):
            failed = round(100 * worse)
            breaker.outcome(arm, 100 - failed, failed)
    return breaker


def test_what_befalls_both_arms_after_a_step_opens_nothing() -> None:
    """Of all that the canary answered it is a seventh, and of all that stable answered a hundredth."""
    assert after_a_step(failing=0.3, stable_failing=0.3).opened is None
    assert after_a_step(failing=0.3, stable_failing=0.3, told=False).opened is not None


def test_what_speaks_against_a_canary_before_a_step_and_after_it_is_multiplied() -> None:
    breaker = Breaker(drop=0.01)
    breaker.outcome("stable", 190, 0)
    breaker.outcome("canary", 9, 1)
    breaker.step()
    breaker.outcome("stable", 20, 0)
    while breaker.opened is None:
        breaker.outcome("canary", 0, 1)
    found = breaker.opened
    failed = found.canary_bad - 1
    assert (found.canary, found.stable) == (10 + failed, 210)
    both = two_samples(0.01, 1, 10, 0, 190) * two_samples(0.01, failed, failed, 0, 20)
    assert found.evalue == pytest.approx(both / 2), "half of the error is that of the test from the beginning"
    assert both != pytest.approx(two_samples(0.01, failed + 1, failed + 10, 0, 210))


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
    assert test.evalue == pytest.approx(expected)


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


QUICK = 1 / 32
"""Seconds, and one of which sums are exact."""


class Clock:
    """Where a test says what time it is."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def in_turn(clock: Clock, breaker: Breaker, seconds: float, answers: int) -> int:
    """Answers of the canary one after the other, until it opens: how many it took; at most so many."""
    for number in range(1, answers + 1):
        clock.now += seconds
        breaker.latency("canary", seconds)
        if breaker.opened is not None:
            return number
    return answers + 1


@pytest.mark.parametrize("stable", [None, 0.02, 0.5], ids=["stable-never-seen", "stable-was-quick", "stable-was-slow"])
@pytest.mark.parametrize("before", [0, 1000])
def test_a_collapse_of_latency_is_seen_with_all_of_the_traffic(stable: float | None, before: int) -> None:
    """After so many quick answers since stable had any. How many slow ones: as the evidence of a start begins with its
    share and grows by a known factor, those of the best start alone suffice, and the sum needs no more."""
    clock = Clock()
    breaker = Breaker(slow=0.1, clock=clock)
    if stable is not None:
        breaker.latency("stable", stable)
        before += 100  # after that many it counts for nothing any more
    assert in_turn(clock, breaker, QUICK, before) == before + 1
    took = in_turn(clock, breaker, 0.5, 100)
    factor = (1 - 0.475 / 25) / 0.525
    alone = math.ceil(math.log(4000 / share(before + 1)) / math.log(factor))
    assert alone - 3 <= took <= alone <= 50
    assert breaker.opened is not None
    assert breaker.opened.about == "were slower than 0.1 s (over 52.5%, whatever stable does)"
    assert (breaker.opened.canary_bad, breaker.opened.canary) == (took, before + took)


def queued(seconds: float, each: float, stalls: float) -> list[tuple[float, float]]:
    """A server that answers one request at a time, 100 of them come in a second, at random: when each ended, and what
    it took. It stands still for half a second every `stalls` seconds (Lindley 1952, of a queue)."""
    rng, free, answers = np.random.default_rng(3), 0.0, []
    for came in np.sort(rng.uniform(0, seconds, int(100 * seconds))).tolist():
        begins = max(came, free)
        if begins % stalls < 0.5:
            begins += 0.5 - begins % stalls
        free = begins + each
        answers.append((free, free - came))
    return answers


def test_what_waits_in_one_stall_is_one_slow_answer() -> None:
    """In each of six stalls 40 requests and more; they would be taken for a collapse if each counted."""
    clock, each, most = Clock(), Collapse(0.525), 0.0
    breaker = Breaker(slow=0.1, clock=clock)
    for clock.now, took in queued(60.0, 0.004, 10.0):
        breaker.latency("canary", took)
        most = max(most, each.canary(1, int(took > 0.1)))
    assert breaker.opened is None
    assert most > 4000


def test_a_queue_that_only_grows_is_a_collapse() -> None:
    """Of twice as many requests as it can answer: the tenth waits for longer than 0.1 s, and after four limits, which
    is the 80th, one in four limits counts at least. From the start 14 suffice, as above."""
    clock = Clock()
    breaker = Breaker(slow=0.1, clock=clock)
    for clock.now, took in queued(12.0, 0.02, math.inf):
        breaker.latency("canary", took)
        if breaker.opened is not None:
            break
    assert clock.now < 0.8 + 0.4 * 20


def test_half_the_rounds_slow_is_taken_for_a_collapse_as_rarely_as_declared() -> None:
    """A server that answers eight requests in each round, all of them slowly in half of the rounds, which is the most
    that is taken for granted: at a rate of 5 %, 400 canaries of 100 rounds may reach 20 on average; the 99.9 % bound
    of that binomial is 35. If each answer counted, most of them would."""
    rng = np.random.default_rng(2)
    found, naive = 0, 0
    for life in rng.random((400, 100)) < 0.5:
        ended, apart, test, each = 0.0, Apart(4.0), Collapse(0.5), Collapse(0.5)
        most, most_naive = 0.0, 0.0
        for slow in life.astype(int).tolist():
            took = 0.5 if slow else QUICK
            ended += took
            for _ in range(8):
                if apart.counts(ended, took):
                    most = max(most, test.canary(1, slow))
            most_naive = max(most_naive, each.canary(8, 8 * slow))
        found += most >= 20
        naive += most_naive >= 20
    assert 0 < found <= 35
    assert naive > 300


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
    assert "answers of the canary failed, and 0 of 950 of stable: e-value" in caplog.text


def test_a_hook_that_raises_leaves_it_open() -> None:
    breaker = Breaker(on_open=lambda _: 1 / 0)
    breaker.outcome("stable", 950, 0)
    breaker.outcome("canary", 0, 50)
    assert breaker.opened is not None


@pytest.mark.parametrize("wrong", [{"drop": 1.0}, {"drop": float("nan")}, {"rate": 0.0}, {"slow": 0.0}], ids=str)
def test_wrong_bounds_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="not"):
        Breaker(**wrong)  # type: ignore[arg-type]
