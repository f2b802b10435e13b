"""How often canaries that are harmless are rolled back by the test of two arms, in what a rollout is like, and how soon
bad ones are. All by simulation; seeds are fixed.

    python benchmarks/monitors/two_arms.py      # writes docs/monitors/evidence.md

Each life lasts twelve hours and is looked at every five minutes. What a scenario draws is what each arm counts in each
minute.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from makeweight_monitors.eprocess import two_samples

PAGE = Path(__file__).resolve().parents[2] / "docs" / "monitors" / "evidence.md"
DROP = 0.01
LIVES, LOOKS = 2_000, 720
EVERY = 5
CHUNK = 200
REQUESTS = 400
"""A minute, of both arms."""
LINE = 5_000.0
"""Alpha of 0.1 %, shared by five families."""
LOOSE = 20.0
"""Alpha of 5 %, of one test: few enough lives tell whether it is kept."""

Counts = NDArray[np.int64]
Arms = tuple[Counts, Counts, Counts, Counts]
"""Wrong answers and all answers of the canary, and of stable, by life and minute."""
Draw = Callable[[np.random.Generator, int], list[Arms]]
"""Of so many lives, the counts at each declared share."""


@dataclass(frozen=True)
class Scenario:
    name: str
    draw: Draw


def answered(random: np.random.Generator, count: Counts, rate: float | NDArray[np.float64]) -> Counts:
    """How many are wrong."""
    return random.binomial(count, rate)


def by_share(arms: Arms, shares: NDArray[np.float64]) -> list[Arms]:
    """The counts of each of the shares that the minutes had."""
    k, n, j, m = arms
    return [(k * at, n * at, j * at, m * at) for at in (shares == share for share in np.unique(shares))]


def steady(
    stable: float,
    rise: float,
    share: float,
    *,
    coverage: float = 1.0,
    late: int = 0,
    away: tuple[float, int] = (0.0, 0),
    requests: int = REQUESTS,
) -> Draw:
    """Both arms at rates that stay, each getting its requests by chance.

    Args:
        coverage: for how many of stable's answers there is a label.
        late: minutes in which stable counts nothing yet.
        away: the share of stable that is not scraped, and for how many minutes; then its counts come all at once.
    """

    def draw(random: np.random.Generator, lives: int) -> list[Arms]:
        n = random.binomial(requests, share, (lives, LOOKS))
        m = random.binomial(requests - n, coverage)
        m[:, :late] = 0
        k, j = answered(random, n, stable + rise), answered(random, m, stable)
        part, minutes = away
        if minutes:
            hidden_m = random.binomial(m[:, :minutes], part)
            hidden_j = random.hypergeometric(j[:, :minutes], m[:, :minutes] - j[:, :minutes], hidden_m)
            for seen, hidden in ((m, hidden_m), (j, hidden_j)):
                seen[:, :minutes] -= hidden
                if minutes < LOOKS:
                    seen[:, minutes] += hidden.sum(axis=1)
        return [(k, n, j, m)]

    return draw


def affine(stable: float, share: float, spread: float, session: int = 10) -> Draw:
    """Sessions of requests that stay with one arm. `spread`: how unlike their rates are, as the correlation of two
    answers of one session.
    """

    def draw(random: np.random.Generator, lives: int) -> list[Arms]:
        counts: list[Counts] = []
        sessions = random.binomial(REQUESTS // session, share, (lives, LOOKS))
        for many, rate in ((sessions, stable + DROP), (REQUESTS // session - sessions, stable)):
            wrong = np.zeros((lives, LOOKS), np.int64)
            for number in range(int(many.max())):
                own: NDArray[np.float64] | float = rate
                if spread:
                    both = 1 / spread - 1
                    own = random.beta(rate * both, (1 - rate) * both, (lives, LOOKS))
                wrong += np.where(number < many, random.binomial(session, own, (lives, LOOKS)), 0)
            counts += [wrong, many * session]
        return [(counts[0], counts[1], counts[2], counts[3])]

    return draw


def ramped(apart: bool) -> Draw:
    """From 5 to 20 and 50 % of the traffic while both arms get worse, 10 to 14 % by the hour; `apart`: by share."""
    rates = np.linspace(0.10, 0.14, LOOKS)

    def draw(random: np.random.Generator, lives: int) -> list[Arms]:
        shares = np.repeat([0.05, 0.2, 0.5], LOOKS // 3)
        n = random.binomial(REQUESTS, shares, (lives, LOOKS))
        arms = (answered(random, n, rates + DROP), n, answered(random, REQUESTS - n, rates), REQUESTS - n)
        return by_share(arms, shares) if apart else [arms]

    return draw


def incident(ramp: bool, apart: bool = True) -> Draw:
    """Failures: 0.1 % on both arms, and 30 % on both for ten minutes; `ramp`: after a step from 5 to 50 %; `apart`: by
    share.
    """

    def draw(random: np.random.Generator, lives: int) -> list[Arms]:
        shares = np.where(np.arange(LOOKS) < 600, 0.05, 0.5 if ramp else 0.05)
        rates = np.full(LOOKS, 0.001)
        rates[640:650] = 0.3
        n = random.binomial(REQUESTS, shares, (lives, LOOKS))
        arms = (answered(random, n, rates), n, answered(random, REQUESTS - n, rates), REQUESTS - n)
        return by_share(arms, shares) if apart else [arms]

    return draw


HARMLESS = (
    Scenario("5 % of the traffic, as declared", steady(0.1, DROP, 0.05)),
    Scenario("6 % for a declared 5 %", steady(0.1, DROP, 0.06)),
    Scenario("half of it", steady(0.1, DROP, 0.5)),
    Scenario("labels for all of the canary and 80 % of stable", steady(0.1, DROP, 0.05, coverage=0.8)),
    Scenario("labels for all of the canary and 20 % of stable", steady(0.1, DROP, 0.5, coverage=0.2)),
    Scenario("one of five stable replicas is never scraped", steady(0.1, DROP, 0.05, away=(0.2, LOOKS))),
    Scenario("it is not for four hours, then its counts come at once", steady(0.1, DROP, 0.05, away=(0.2, 240))),
    Scenario("stable is told its weight 15 minutes late", steady(0.1, DROP, 0.05, late=15)),
    Scenario("sessions of 10 stay with an arm, their answers independent", affine(0.1, 0.2, 0.0)),
    Scenario("2 % are wrong, and 3 %", steady(0.02, DROP, 0.2)),
    Scenario("5, 20, 50 % in steps while both get worse by 4 points, by share", ramped(apart=True)),
    Scenario("failures, 0.1 % on stable", steady(0.001, DROP, 0.05)),
    Scenario("failures, 0.1 % and ten minutes of 30 % on both", incident(ramp=False)),
    Scenario("failures, the same after a step from 5 to 50 %, by share", incident(ramp=True)),
)
BEYOND = (
    Scenario("sessions of 10 stay with an arm, answers alike (correlation 0.3)", affine(0.1, 0.2, 0.3)),
    Scenario("5, 20, 50 % in steps while both get worse by 4 points, all in one", ramped(apart=False)),
    Scenario("failures, ten minutes of 30 % after a step from 5 to 50 %, all in one", incident(ramp=True, apart=False)),
)
"""What the test does not promise to bear."""
BAD = tuple(
    Scenario(f"{what}, {share:.0%} of the traffic", steady(rate, rise, share))
    for what, rate, rise in (
        ("10 to 13 % wrong", 0.1, 0.03),
        ("10 to 20 % wrong", 0.1, 0.1),
        ("2 to 12 % wrong", 0.02, 0.1),
        ("20 % of the answers fail", 0.001, 0.2),
    )
    for share in (0.05, 0.5)
)


def highest_and_first(scenario: Scenario, lives: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Of each life the highest e-value, and the minute at which it is over the line first; 0: never."""
    random = np.random.default_rng(seed)
    most, first = [], []
    for begin in range(0, lives, CHUNK):
        value = np.ones((min(CHUNK, lives - begin), LOOKS // EVERY))
        for arms in scenario.draw(random, len(value)):
            value *= two_samples(DROP, *(np.cumsum(count, axis=1)[:, EVERY - 1 :: EVERY] for count in arms))
        over = value >= LINE
        most.append(value.max(axis=1))
        first.append(np.where(over.any(axis=1), EVERY * (over.argmax(axis=1) + 1), 0))
    return np.concatenate(most), np.concatenate(first)


def share(count: int, of: int) -> str:
    low, high = binomtest(count, of).proportion_ci(0.99)
    return f"{count / of:.2%} [{low:.2%}, {high:.2%}]"


def false_rollbacks(scenarios: tuple[Scenario, ...], lives: int = LIVES) -> Iterator[str]:
    yield "| | over 20, 5 % allowed | over 5,000, 0.02 % allowed |"
    yield "|---|---|---|"
    for seed, scenario in enumerate(scenarios, 1):
        most, _ = highest_and_first(scenario, lives, seed)
        loose, tight = (int(np.count_nonzero(most >= line)) for line in (LOOSE, LINE))
        yield f"| {scenario.name} | {share(loose, lives)} | {share(tight, lives)} |"


def delays(lives: int = 200) -> Iterator[str]:
    yield "| | found within 12 h | median | of answers of the canary |"
    yield "|---|---|---|---|"
    for seed, scenario in enumerate(BAD, 1):
        _, first = highest_and_first(scenario, lives, seed)
        found = first[first > 0]
        median = float(np.median(found)) if len(found) else float("nan")
        canary = REQUESTS * float(scenario.name.split(", ")[1].split("%")[0]) / 100
        yield f"| {scenario.name} | {len(found) / lives:.0%} | {median:.0f} min | {median * canary:,.0f} |"


INTRODUCTION = f"""# Evidence

How often harmless canaries are rolled back by the tests of two arms (split traffic, failures), and how soon bad ones
are: simulated by `python benchmarks/monitors/two_arms.py`, which writes this page. Beside each share stands its 99 %
interval (Clopper and Pearson).

{LIVES:,} lives of twelve hours, {REQUESTS} requests a minute, looked at every {EVERY} minutes. Canaries are exactly at
what is tolerated (10 % of stable's answers wrong, 11 % of the canary's, where nothing else is said), the worst that
must still pass.
"""
ASSUMED = """
What the test does not bear. It takes requests to be independent; and the rules keep counts apart by declared share,
which the last two do without, as where a canary is not told its `weight` while the router changes it:
"""
DELAYS = """
How soon bad canaries are found, at the line of 5,000 (200 lives each):
"""


def main() -> None:
    began = time.monotonic()
    parts = [INTRODUCTION, *false_rollbacks(HARMLESS), ASSUMED, *false_rollbacks(BEYOND), DELAYS, *delays(), ""]
    PAGE.write_text("\n".join(parts))
    print(f"{PAGE} written in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
