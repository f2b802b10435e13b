"""What each counter rose by from step to step, over all processes: read once from these, and kept.

Every window of time is a sum over such steps (`Terms.over`). So a look costs the same for a window of three days and
one of five minutes, but for a handful of recorded values, and series of single processes are read no further back than
`_REACH`. Each process rises by itself before they are added up: one that ends, or begins at zero, takes nothing back.

A series that was not there a step ago is new, such as that of a revision that nobody declared: all that it has counts,
which `increase()` would leave out. Unless its process is new here and yet old: then nobody knows when it counted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from makeweight_monitors import metrics
from makeweight_monitors.rules import burn, identity, names
from makeweight_monitors.rules.promql import block
from makeweight_monitors.rules.rule import Group, Recording, Rule
from makeweight_monitors.rules.terms import Terms

LOOKS = 4
"""Of the sequential tests, in a step: a minute of four looks, and never more than that."""
_REACH = "5m"
"""How long a process may go without being scraped and still go on from where it was."""
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
        yield Group("makeweight-steps", (_known(terms), *rules), _every(terms))


def _counters(terms: Terms) -> Iterator[_Counter]:
    for metric in metrics.CATALOGUE:
        if metric.kind == "counter":
            yield _Counter(metric.series, metric.labels)
        elif metric.kind == "histogram":
            yield _Counter(f"{metric.series}_count", metric.labels)
            bounds = sorted({one.bound for one in burn.objectives(terms) if one.quantile is not None})
            if bounds:
                yield _Counter(f"{metric.series}_bucket", (*metric.labels, "le"), (burn.within(*bounds),))


def _every(terms: Terms) -> str:
    return f"{min(LOOKS * terms.interval, 60)}s"


def _known(terms: Terms) -> Rule:
    """Processes of which all that is new has come since they were looked at last."""
    up = terms.of(metrics.UP.series)
    return Recording(
        names.PROCESSES,
        block(f"""
            max by (model, boot) (
              last_over_time({up}[{_REACH}] offset {_every(terms)})
              or
              (last_over_time({up}[{_REACH}]) > time() - {_YOUNG})
            )
            """),
    )


def _step(terms: Terms, counter: _Counter) -> Rule:
    every, apart = identity.groupings(counter.labels)
    series = terms.of(counter.series, *counter.matchers)
    # the maximum comes first: a process that is scraped twice, or under a new address, counts once
    now, before = (
        f"max by ({every}) (last_over_time({series}[{_REACH}]{then}))" for then in ("", f" offset {_every(terms)}")
    )
    return Recording(
        names.step(counter.series),
        block(f"""
            sum by ({apart}) (
              (
                {now}
                - {before}
                >= 0
              )
              or
              {now}
              and on (model, boot) {terms.of(names.PROCESSES)}
            )
            """),
    )
