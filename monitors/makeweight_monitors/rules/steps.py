"""What each counter rose by from step to step, over all processes: read twice from these, and kept.

Every window of time is a sum over such steps (`Terms.over`). So a look costs the same for a window of three days and
one of five minutes, but for a handful of recorded values, and series of single processes are read no further back than
`REACH`.

A step is the sum of what all processes had counted by now less the sum of what they had counted a step ago, and no
process has to be matched with itself: that would be several times as dear. Both sums look back to the same moment. So a
process that ended is in both of them, with the same count, until it is in neither; and a series that was not there a
step ago, such as that of a revision that nobody declared, counts whole, which `increase()` would leave out. Which
processes are summed over is decided once for all counters (`_whose`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from makeweight_monitors import durations, metrics
from makeweight_monitors.rules import burn, identity, names, processes
from makeweight_monitors.rules.processes import REACH
from makeweight_monitors.rules.promql import block, inner
from makeweight_monitors.rules.rule import Group, Recording, Rule
from makeweight_monitors.rules.terms import Terms

LOOKS = 4
"""Of the sequential tests, in a step: a minute of four looks, and never more than that."""
_YOUNG = 600
"""Seconds since a process began, within which it is scraped for the first time."""


@dataclass(frozen=True)
class _Counter:
    series: str
    labels: tuple[str, ...]
    matchers: tuple[str, ...] = ()


def groups(terms: Terms, read: Collection[str]) -> Iterator[Group]:
    """Those that are among the words that other rules read."""
    rules = [_step(terms, counter) for counter in _counters(terms) if names.step(counter.series) in read]
    if rules:
        yield Group("makeweight-steps", (*_whose(terms), *rules), f"{_every(terms)}s")


def _counters(terms: Terms) -> Iterator[_Counter]:
    for metric in metrics.CATALOGUE:
        if metric.kind == "counter":
            yield _Counter(metric.series, metric.labels)
        elif metric.kind == "histogram":
            yield _Counter(f"{metric.series}_count", metric.labels)
            bounds = sorted({one.bound for one in burn.objectives(terms) if one.quantile is not None})
            if bounds:
                yield _Counter(f"{metric.series}_bucket", (*metric.labels, "le"), (burn.within(*bounds),))


def _every(terms: Terms) -> int:
    """Seconds."""
    return min(LOOKS * terms.interval, 60)


def _windows(terms: Terms) -> tuple[str, str]:
    """Now, and a step ago: both begin at the same moment."""
    return f"[{_long(terms)}]", f"[{REACH}] offset {_every(terms)}s"


def _long(terms: Terms) -> str:
    return f"{durations.seconds(REACH) + _every(terms):g}s"


def _whose(terms: Terms) -> Iterator[Rule]:
    """The processes of both sums.

    One that is new here and yet old is in the first one from the next step on: nobody knows when it counted. One that
    began anew, which tells its later start, has nothing taken away for what it had counted before.
    """
    up, scraped = terms.of(metrics.UP.series), terms.of(names.PROCESSES)
    now, before = (f"max by (model, boot) (last_over_time({up}{window}))" for window in _windows(terms))
    known = f"{scraped} offset {_every(terms)}s"
    yield processes.scraped(terms, names.PROCESSES, _long(terms))
    yield Recording(
        names.PROCESSES_NOW,
        block(f"""
            {scraped}
            and on (model, boot) (
              {known}
              or
              {now} > time() - {_YOUNG}
            )
            """),
    )
    anew = f"{now}\n> {before}"
    yield Recording(
        names.PROCESSES_BEFORE,
        f"{known}\nunless on (model, boot) (\n{inner(anew)}\n)",
    )


def _step(terms: Terms, counter: _Counter) -> Rule:
    _, apart = identity.groupings(counter.labels)
    series = terms.of(counter.series, *counter.matchers)
    now, before = (
        f"sum by ({apart}) (\n  last_over_time({series}{window})\n  and on ({processes.ADDRESS}) {terms.of(whose)}\n)"
        for window, whose in zip(_windows(terms), (names.PROCESSES_NOW, names.PROCESSES_BEFORE), strict=True)
    )
    ago = f'label_replace(\n{inner(f"-{before}")},\n  "ago", "{_every(terms)}s", "", ""\n)'
    return Recording(names.step(counter.series), f"sum without (ago) (\n{inner(now)}\n  or\n{inner(ago)}\n)")
