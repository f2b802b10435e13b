"""What each counter rose by from step to step, over all processes: read twice from these, and kept.

Every window of time is a sum over such steps (`Terms.over`). So a look costs the same for a window of three days and
one of five minutes, but for a handful of recorded values, and series of single processes are read no further back than
`REACH`.

A step is the sum of what all processes had counted by now less the sum of what they had counted a step ago, and no
process has to be matched with itself: that would be several times as dear. Both sums look back to the same moment. So a
process that ended is in both of them, with the same count, until it is in neither; and a series that was not there a
step ago, such as that of a revision that nobody declared, counts whole, which `increase()` would leave out. Which
processes are summed over is decided once for all counters of a group (`_whose`).

Most of what rules cost is in here: every series of every process is read. So there are several groups of them, which
Prometheus evaluates one after the other within a step, rather than all at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from makeweight_monitors import durations, metrics
from makeweight_monitors.metrics import Metric
from makeweight_monitors.rules import identity, names, processes
from makeweight_monitors.rules.processes import REACH
from makeweight_monitors.rules.promql import block, equals, inner
from makeweight_monitors.rules.rule import Group, Recording, Rule
from makeweight_monitors.rules.terms import Terms

_YOUNG = 600
"""Seconds since a process began, within which it is scraped for the first time."""
_BINS = (metrics.PREDICTED_CLASS, metrics.SCORE_BIN, metrics.FEATURE_BIN, metrics.ERROR_BIN)
_LABELS = (
    metrics.LABELLED, metrics.LABELLED_CLASS, metrics.LABELLED_SLICE, metrics.PAIRED, metrics.PAIRED_SLICE,
    metrics.SPLIT, metrics.LABEL_EVENTS, metrics.LABELS_EXPIRED,
)  # fmt: skip


@dataclass(frozen=True)
class _Counter:
    metric: Metric
    part: str = ""
    """Of a histogram."""
    labels: tuple[str, ...] = ()
    """Besides those of the metric."""

    @property
    def series(self) -> str:
        return self.metric.series + self.part

    @property
    def group(self) -> str:
        return "bins" if self.metric in _BINS else "labels" if self.metric in _LABELS else "answers"


def groups(terms: Terms, read: Collection[str]) -> Iterator[Group]:
    """Those that are among the words that other rules read."""
    recorded = [counter for counter in _counters() if names.step(counter.series) in read]
    for group in sorted({counter.group for counter in recorded}):
        rules = (_step(terms, counter) for counter in recorded if counter.group == group)
        yield Group(f"makeweight-steps-{group}", (*_whose(terms, group), *rules), terms.every_step)


def _counters() -> Iterator[_Counter]:
    for metric in metrics.CATALOGUE:
        if metric.kind == "counter":
            yield _Counter(metric)
        elif metric.kind == "histogram":
            yield from (_Counter(metric, part) for part in ("_count", "_sum"))
            yield _Counter(metric, "_bucket", ("le",))


def _windows(terms: Terms) -> tuple[str, str]:
    """Now, and a step ago: both begin at the same moment."""
    return f"[{_long(terms)}]", f"[{REACH}] offset {terms.every_step}"


def _long(terms: Terms) -> str:
    return f"{durations.seconds(REACH) + terms.step:g}s"


def _whose(terms: Terms, group: str) -> Iterator[Rule]:
    """The processes of both sums, of this group: it is evaluated at times of its own.

    One that is new here and yet old is in the first one from the next step on: nobody knows when it counted. One that
    began anew, which tells its later start, has nothing taken away for what it had counted before.
    """
    own = {"steps": group}
    up, scraped = terms.of(metrics.UP.series), terms.of(names.PROCESSES, equals("steps", group))
    now, before = (f"max by (model, boot) (last_over_time({up}{window}))" for window in _windows(terms))
    known = f"{scraped} offset {terms.every_step}"
    yield Recording(names.PROCESSES, processes.scraped(terms, _long(terms)), own)
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
        own,
    )
    anew = f"{now}\n> {before}"
    yield Recording(names.PROCESSES_BEFORE, f"{known}\nunless on (model, boot) (\n{inner(anew)}\n)", own)


def _step(terms: Terms, counter: _Counter) -> Rule:
    _, apart = identity.groupings((*counter.metric.labels, *counter.labels))
    series, of = terms.of(counter.series), equals("steps", counter.group)
    now, before = (
        f"sum by ({apart}) (\n  last_over_time({series}{window})\n"
        f"  and on ({processes.ADDRESS}) {terms.of(whose, of)}\n)"
        for window, whose in zip(_windows(terms), (names.PROCESSES_NOW, names.PROCESSES_BEFORE), strict=True)
    )
    ago = f'label_replace(\n{inner(f"-{before}")},\n  "ago", "{terms.every_step}", "", ""\n)'
    return Recording(names.step(counter.series), f"sum without (ago) (\n{inner(now)}\n  or\n{inner(ago)}\n)")
