"""The rules beside fixed thresholds, as rollout tools are given them, on the very same traces. All by simulation; seeds
are fixed.

    python benchmarks/monitors/thresholds.py      # writes docs/monitors/thresholds.md

Targets: of 10,000 days of harmless canaries the rules roll back at most alpha, 0.1 %.

Argo Rollouts: an analysis in the background measures the success rate of the last minutes at each interval, and aborts
when more than `failureLimit` measurements failed (argo-rollouts.readthedocs.io, "Analysis & Progressive Delivery").
Flagger: a metric is checked at each interval, and it rolls back at `threshold` failed checks, which never decay within
a run (docs.flagger.app, "Deployment Strategies"; pkg/controller/scheduler.go). Neither compares with stable here: the
threshold is stable's own rate and so much more, which is already more than their users know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from error_rates import LINE, crossed, first, share, told, write
from lives import DROP, REQUESTS, Arms, DrawArms, Rates, arms
from numpy.typing import NDArray

PAGE = Path(__file__).resolve().parents[2] / "docs" / "monitors" / "thresholds.md"
DAYS, CHUNK = 10_000, 500
DAY, LOOK = 1_440, 5
FOUND, HOURS = 200, 12
STABLE = 0.01
INCIDENT = np.where((np.arange(DAY) >= 700) & (np.arange(DAY) < 710), 0.1, STABLE)

Decided = NDArray[np.float64]
"""The minute at which each life is rolled back; infinite: never."""
Decider = Callable[[Arms], Decided]


def rules(every: int) -> Decider:
    """The e-value over its line, looked at every so many minutes."""
    return lambda seen: crossed(seen, np.arange(every, seen.shares[0][0].shape[1], every))


@dataclass(frozen=True)
class Threshold:
    """So many failed checks in all; a check fails where the canary's failures in its window are over `most`."""

    most: float
    window: int
    """Minutes, and as many between two checks."""
    checks: int

    def __call__(self, seen: Arms) -> Decided:
        ((failed, answered, _, _),) = seen.shares
        now = np.arange(self.window, failed.shape[1], self.window)
        bad, every = (counts[:, now] - counts[:, now - self.window] for counts in (failed, answered))
        # without a request there is nothing to check
        over = bad > self.most * np.maximum(every, 1e-9)
        return first(np.cumsum(over & (every > 0), axis=1) >= self.checks, now)


def argo(more: float) -> Threshold:
    """`interval: 5m`, `failureLimit: 3`."""
    return Threshold(STABLE + more, 5, 4)


def flagger(more: float) -> Threshold:
    """`interval: 1m`, `threshold: 5`."""
    return Threshold(STABLE + more, 1, 5)


THRESHOLDS: dict[str, Decider] = {
    "Argo style, 1 point": argo(0.01),
    "Argo style, 3 points": argo(0.03),
    "Flagger style, 1 point": flagger(0.01),
    "Flagger style, 3 points": flagger(0.03),
}
RULES = "the rules, 1 point"


def canaries(minutes: int, rise: float = 0.0, rates: Rates = STABLE) -> dict[str, DrawArms]:
    """By the share of the traffic that the canary has."""
    return {f"{part:.0%}": arms(rates, rise, part, minutes) for part in (0.05, 0.5)}


HARMLESS = {
    "no worse than stable": canaries(DAY),
    "the same, and ten minutes in which a tenth fails on both": canaries(DAY, rates=INCIDENT),
    "worse by 1 point, which is tolerated": canaries(DAY, DROP),
}


def false_rollbacks() -> Iterator[str]:
    deciders = {RULES: rules(LOOK), **THRESHOLDS}
    yield "| harmless canaries | share | " + " | ".join(deciders) + " |"
    yield "|---|---|" + "---|" * len(deciders)
    for number, (name, by_share) in enumerate(HARMLESS.items()):
        for part, draw in by_share.items():
            random = np.random.default_rng(number)
            back = dict.fromkeys(deciders, 0)
            for begin in range(0, DAYS, CHUNK):
                seen = draw(random, min(CHUNK, DAYS - begin))
                for decider, decide in deciders.items():
                    back[decider] += int(np.isfinite(decide(seen)).sum())
            yield f"| {name} | {part} | " + " | ".join(share(count, DAYS) for count in back.values()) + " |"


def delays() -> Iterator[str]:
    deciders = {RULES: rules(1), **THRESHOLDS}
    yield "| worse by | share | " + " | ".join(deciders) + " |"
    yield "|---|---|" + "---|" * len(deciders)
    for drop in (0.01, 0.03, 0.1):
        for part, draw in canaries(60 * HOURS, drop).items():
            seen = draw(np.random.default_rng(int(1000 * drop)), FOUND)
            cells = [told(decide(seen)) for decide in deciders.values()]
            yield f"| {100 * drop:.0f} {'point' if drop < 0.02 else 'points'} | {part} | " + " | ".join(cells) + " |"


INTRODUCTION = f"""# The rules beside fixed thresholds

What the [rules](rules.md) decide and what fixed thresholds would have decided, on the same simulated traffic: written
by `python benchmarks/monitors/thresholds.py`. {REQUESTS} requests a minute, of which the canary has a share;
{STABLE:.0%} of stable's answers fail. The rules tolerate {100 * DROP:.0f} point more, at the line of {LINE:,.0f} (0.1 %
shared by five tests). The others are told stable's rate, and roll back by what the canary does alone:

- *Argo style*: the failures of the last five minutes, every five minutes; more than `failureLimit: 3` measurements over
  stable's rate and so much more.
- *Flagger style*: those of the last minute, every minute; `threshold: 5` checks over it.

{DAYS:,} canary-days in each row, looked at every {LOOK} minutes by the rules: how many were rolled back, and the 99 %
interval of that (Clopper and Pearson). None should be.
"""
DELAYS = f"""
How soon canaries that are worse from the beginning are rolled back, {FOUND} each, looked at every minute by the rules:
the median, and within which time 90 % are; a share where fewer than half are within {HOURS} hours. One point is
tolerated, so that by the rules it is no reason for a rollback.
"""


if __name__ == "__main__":
    write(PAGE, (INTRODUCTION, false_rollbacks()), (DELAYS, delays()))
