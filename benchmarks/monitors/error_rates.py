"""How often canaries that are harmless are rolled back, in what production is like, and how soon bad ones are. All by
simulation; seeds are fixed.

    python benchmarks/monitors/error_rates.py      # writes docs/monitors/error-rates.md
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from lives import AGES, DROP, EVERY, PAIRS, REQUESTS, STARTS, Counts, Draw, Seen, arms, evidence, pairs
from numpy.typing import NDArray
from scipy.stats import binomtest

from makeweight_monitors.rules.promql import Z_RARE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "monitors" / "error-rates.md"
LIVES, CHUNK = 2_000, 200
MINUTES, LOOK = 720, 5
LINE = 5_000.0
"""Alpha of 0.1 %, shared by five families."""
LOOSE = 20.0
"""Alpha of 5 %, of one test: few enough lives tell whether it is kept."""
FOUND, PART = 200, 50
"""Lives of bad canaries, each; so many at once."""
DAY = 1_440
TIME = np.arange(MINUTES)
SWING = 0.015 * (1 + 0.8 * np.sin(TIME / 60))
"""What differs between the two models comes and goes."""
STEPS = np.repeat([0.05, 0.2, 0.5], MINUTES // 3)
WORSE = np.linspace(0.10, 0.14, MINUTES)
IN_PAIRS, HELP = f"pairs, {PAIRS // 4} in 15 s", 0.02
"""Those of bad canaries, and how many of them show help."""
IN_ARMS = {
    "split traffic, 5 %": (0.1, 0.05),
    "split traffic, 50 %": (0.1, 0.5),
    "failures, 5 %": (0.001, 0.05),
    "failures, 50 %": (0.001, 0.5),
}
"""Stable's rate beside bad canaries, and the canary's share of the traffic."""
GAPS = tuple((begin, begin + 30) for begin in range(100, MINUTES, 180))


@dataclass(frozen=True)
class Scenario:
    name: str
    draw: Draw
    lost: Collection[int] = ()
    """Minutes of which Prometheus has no record."""


def incident(step: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(rates of failure, shares): 0.1 %, and ten minutes of 30 %, on both arms; `step`: after one from 5 to 50 %."""
    rates = np.full(MINUTES, 0.001)
    rates[640:650] = 0.3
    return rates, np.where(TIME < 600, 0.05, 0.5 if step else 0.05)


def split(name: str, rate: float = 0.1, share: float = 0.05, **how: object) -> Scenario:
    return Scenario(name, arms(rate, DROP, share, MINUTES, **how))  # type: ignore[arg-type]


def of_pairs(name: str, **how: object) -> Scenario:
    return Scenario(name, pairs(0.025, 0.015, MINUTES, **how))  # type: ignore[arg-type]


DOWN = [minute for begin, end in GAPS for minute in range(begin, end)]
HARMLESS = {
    "Pairs": (
        of_pairs("labels for all"),
        of_pairs("labels for a fifth, by chance", labels=0.2),
        Scenario(
            "labels an hour late, while the two come to differ more and less",
            pairs(SWING + DROP, SWING, MINUTES, late=60),
        ),
        of_pairs("labels for a third of those that differ, and no others", labels=1e-9, apart=0.33e9),
        of_pairs("labels twice as often where the two differ", labels=0.2, apart=2),
        of_pairs("labels twice as often where the canary is wrong", labels=0.2, canary_wrong=2),
        of_pairs("runs of 30 alike, with `unit`", run=30, unit=True),
    ),
    "Split traffic": (
        split("5 % of the traffic, as declared"),
        split("6 % for a declared 5 %", share=0.06),
        split("half of it", share=0.5),
        split("labels for all of the canary and 80 % of stable", coverage=0.8),
        split("labels for all of the canary and 20 % of stable", share=0.5, coverage=0.2),
        split("the canary's labels an hour late", late=(60, 0)),
        split("one of five stable replicas is never scraped", away=(0.2, MINUTES)),
        split("it is not for four hours, then its counts come at once", away=(0.2, 240)),
        split("stable is told its weight 15 minutes late", away=(1.0, 15)),
        split("the canary restarts every 20 minutes and loses one", forgets=20),
        Scenario("Prometheus is down for half an hour in three", arms(0.1, DROP, 0.05, MINUTES, gaps=GAPS), DOWN),
        split("sessions of 30 stay with an arm, answers alike, with `unit`", share=0.2, run=30, unit=True),
        split("2 % are wrong, and 3 %", rate=0.02, share=0.2),
        Scenario(
            "5, 20, 50 % in steps while both get worse by 4 points",
            arms(WORSE, DROP, STEPS, MINUTES, apart=True),
        ),
    ),
    "Failures": (
        split("0.1 % of stable's answers fail", rate=0.001),
        split("6 % for a declared 5 %", rate=0.001, share=0.06),
        split("one of five stable replicas is never scraped", rate=0.001, away=(0.2, MINUTES)),
        split("the canary restarts every 20 minutes and loses one", rate=0.001, forgets=20),
        split("sessions of 30 fail as one, with `unit`", rate=0.001, share=0.2, run=30, unit=True),
        Scenario("ten minutes of 30 % on both", arms(incident(step=False)[0], 0.0, 0.05, MINUTES)),
        Scenario(
            "the same after a step from 5 to 50 %", arms(incident(True)[0], 0.0, incident(True)[1], MINUTES, apart=True)
        ),
    ),
}
BEYOND = {
    "What they do not bear": (
        of_pairs("pairs: runs of 30 alike, without `unit`", run=30),
        split("split traffic: sessions of 30 stay with an arm, answers alike, without `unit`", share=0.2, run=30),
        split("failures: sessions of 30 fail as one, without `unit`", rate=0.001, share=0.2, run=30),
        split("split traffic: labels twice as often where the canary is wrong", share=0.2, canary_wrong=2),
        Scenario(
            "split traffic: 5, 20, 50 % in steps while both get worse, the canary not told its `weight`",
            arms(WORSE, DROP, STEPS, MINUTES),
        ),
    )
}


def share(count: int, of: int) -> str:
    low, high = binomtest(count, of).proportion_ci(0.99)
    return f"{count / of:.2%} [{low:.2%}, {high:.2%}]"


def false_rollbacks(families: Mapping[str, tuple[Scenario, ...]]) -> Iterator[str]:
    seed = 0
    for family, scenarios in families.items():
        yield f"\n| {family} | over 20, 5 % allowed | over 5,000, 0.02 % allowed | off at the end |"
        yield "|---|---|---|---|"
        for scenario in scenarios:
            seed += 1
            random, off = np.random.default_rng(seed), 0
            now = np.array([minute for minute in range(LOOK, MINUTES + 1, LOOK) if minute not in set(scenario.lost)])
            most = []
            for begin in range(0, LIVES, CHUNK):
                seen = scenario.draw(random, min(CHUNK, LIVES - begin))
                most.append(evidence(seen, now, scenario.lost).max(axis=1))
                off += int(np.count_nonzero(seen.excess(now[-1:]) > Z_RARE))
            over = [int(np.count_nonzero(np.concatenate(most) >= line)) for line in (LOOSE, LINE)]
            gone = f"{off / LIVES:.1%}" if off else ""
            yield f"| {scenario.name} | {share(over[0], LIVES)} | {share(over[1], LIVES)} | {gone} |"


def bad(drop: float, healthy: int) -> dict[str, Draw]:
    """Canaries that are worse by `drop`, after so many healthy minutes."""
    minutes = healthy + MINUTES
    late = np.arange(minutes) >= healthy
    harm, help_ = np.where(late, HELP + drop, 0.005), np.where(late, HELP, 0.005)
    beside = {name: arms(rate, np.where(late, drop, 0.0), share, minutes) for name, (rate, share) in IN_ARMS.items()}
    return {IN_PAIRS: pairs(harm, help_, minutes), **beside}


def first(over: NDArray[np.bool_], now: Counts) -> NDArray[np.float64]:
    """The minute of `now` at which each life is over first; infinite: at none of them."""
    return np.where(over.any(axis=1), now[over.argmax(axis=1)], np.inf)


def crossed(seen: Seen, now: Counts) -> NDArray[np.float64]:
    """The minute at which each life is over the line first; few minutes at once, since their e-values take room."""
    parts = np.array_split(now, 12)
    found = first(evidence(seen, parts[0]) >= LINE, parts[0])
    for looks in parts[1:]:
        if np.isfinite(found).all():
            break
        found = np.minimum(found, first(evidence(seen, looks) >= LINE, looks))
    return found


def told(minutes: NDArray[np.float64]) -> str:
    """The median, and within which time 90 % are found; a share where fewer than half are."""
    middle, most = np.percentile(minutes, [50, 90], method="higher")
    found = float(np.isfinite(minutes).mean())
    if not np.isfinite(middle):
        return f"{found:.0%}"
    return f"{middle:.0f} min" + (f" (90 %: {most:.0f})" if np.isfinite(most) else f" ({found:.0%} in all)")


def delays() -> Iterator[str]:
    cells: dict[str, list[str]] = {}
    for seed, (healthy, drop) in enumerate((when, drop) for when in (0, DAY) for drop in (0.01, 0.03, 0.1)):
        now = np.arange(healthy + 1, healthy + MINUTES + 1)
        for name, draw in bad(drop, healthy).items():
            random = np.random.default_rng(100 + seed)
            minutes = np.concatenate([crossed(draw(random, PART), now) for _ in range(0, FOUND, PART)]) - healthy
            cells.setdefault(name, []).append(told(minutes))
    yield "| worse by | 1 point | 3 points | 10 points | 1, after a day | 3, after a day | 10, after a day |"
    yield "|---|---|---|---|---|---|---|"
    for name, row in cells.items():
        yield f"| {name} | " + " | ".join(row) + " |"


def least() -> Iterator[str]:
    """How many labelled answers of the canary any test needs at least on average, by how much it is worse and when."""
    by_bets = np.linspace(0, 0.99, 10_000)

    def of_pairs(drop: float) -> float:
        """The most that a pair's logarithm can grow by, over all bets on harm, help or a tie."""
        chances = {1.0: HELP + drop, -1.0: HELP, 0.0: 1 - 2 * HELP - drop}
        grown = [chance * np.log1p(by_bets * (x - DROP)) for x, chance in chances.items()]
        return float(np.sum(grown, axis=0).max())

    def of_arms(stable: float, drop: float) -> float:
        """The divergence of Kullback and Leibler: stable's rate taken as known."""
        p, q = stable + drop, stable + DROP
        return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))

    lines = (math.log(LINE), math.log(2 * STARTS * LINE))
    yield "| worse by | 3 points | 10 points | 3, after a day | 10, after a day |"
    yield "|---|---|---|---|---|"
    rates: tuple[tuple[str, float, Callable[[float], float]], ...] = (
        (IN_PAIRS, PAIRS, of_pairs),
        *((name, REQUESTS * share, partial(of_arms, rate)) for name, (rate, share) in IN_ARMS.items()),
    )
    for name, minute, grows in rates:
        needed = [line / grows(drop) for line in lines for drop in (0.03, 0.1)]
        yield f"| {name} | " + " | ".join(f"{many:,.0f}: {many / minute:.1f} min" for many in needed) + " |"


INTRODUCTION = f"""# How often the tests err

How often harmless canaries are rolled back by the [tests that may](rules.md#three-kinds-of-alert), and how soon bad
ones are: simulated by `python benchmarks/monitors/error_rates.py`, which writes this page. Beside each share stands its
99 % interval (Clopper and Pearson).

{LIVES:,} lives of {MINUTES // 60} hours each, looked at every {LOOK} minutes; {PAIRS} pairs a minute, or {REQUESTS}
requests of split traffic. Canaries are exactly at what is tolerated, the worst that must still pass: 2.5 % harm and
1.5 % help; 11 % wrong to stable's 10 %; 1.1 % failures to 0.1 %, where nothing else is said. The e-value is the
rules', with the tests that begin anew: at most {STARTS:,} in seven days, of which those are looked at that are
{AGES[0]}, {AGES[1]} and {AGES[2]} minutes old (one begins every {EVERY}). *Off at the end*: in how many of the lives
the tests of pairs were off by then, because of how labels came.
"""
ASSUMED = """
These take requests to be independent (or their `unit` to be given), labels not to depend on who was right (of pairs
that is checked), and the canary to be told its share where that changes. Where that is not so:
"""
DELAYS = f"""
How soon bad canaries are found, at the line of 5,000: the median, and within which time 90 % are; a share where fewer
than half are found within {MINUTES // 60} hours. One point is tolerated. {FOUND} lives each, looked at every minute,
from when they are worse: at once, or after a healthy day. Pairs then have 2 % help and so much more harm; of stable's
answers 10 % are wrong in split traffic, and 0.1 % fail.
"""
LEAST = f"""
How soon they could be found at best: no test that keeps the same promise needs fewer answers of the canary on average
than the logarithm of the line over what one answer tells (Kullback and Leibler), were stable's rate known exactly.
After a healthy day the line is {2 * STARTS:,} times as high for a test that began anew: that many share the error.
So many labelled answers of the canary (pairs; all answers, for failures), and how long they take to come: with 5 % of
{REQUESTS} requests a minute there are {REQUESTS * 0.05:.0f}, and no fewer minutes are to be had but by a larger share.
"""


def write(page: Path, *parts: tuple[str, Iterator[str]]) -> None:
    """A page of a text and the rows of a table below it, and so on."""
    began, lines = time.monotonic(), []
    for text, rows in parts:
        lines.append(text)
        for row in rows:
            lines.append(row)
            print(row, file=sys.stderr, flush=True)
    page.write_text("\n".join([*lines, ""]))
    print(f"{page} written in {time.monotonic() - began:.0f} s, {time.process_time():.0f} s of processor time")


if __name__ == "__main__":
    write(
        PAGE,
        (INTRODUCTION, false_rollbacks(HARMLESS)),
        (ASSUMED, false_rollbacks(BEYOND)),
        (DELAYS, delays()),
        (LEAST, least()),
    )
