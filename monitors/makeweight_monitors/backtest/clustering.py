"""How alike neighbouring requests are: how many times more widely counts spread than those of independent requests.

The tests that may roll back take requests to be independent, or to be told their `unit`. Where a user's requests are
right or wrong together, counts spread more than binomial ones do, by the design effect (Kish, "Survey Sampling", 1965):
so many requests say as much as one that is independent. It is estimated from the differences of neighbouring stretches
of time, so that rates that change slowly do not count; over stretches of several lengths, so that runs that last longer
than a step do. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from makeweight_monitors.backtest.recorded import Recorded
from makeweight_monitors.metrics import FAILED, PAIRED, PREDICTIONS, REPEATS, SPLIT, Metric
from makeweight_monitors.prometheus.queries import Series

LEAST = 100
"""Differences; the estimate is then good to a sixth or so."""
MARKED = 1.5
"""From here on the tests err more often than they promise, by more than a little."""

Counts = NDArray[np.float64]


@dataclass(frozen=True)
class Clustering:
    """Of the requests that one test sees of one arm."""

    test: str
    labels: Mapping[str, str]
    requests: int
    effect: float


@dataclass(frozen=True)
class _Cell:
    """What an event of some series is to a test: how many requests, and what they are worth."""

    metric: Metric
    labels: Mapping[str, str]
    requests: int = 1
    worth: int = 0

    def fits(self, series: Series) -> bool:
        return series.labels["__name__"] == self.metric.series and self.labels.items() <= series.labels.items()


_TESTS = {
    "failures": (
        _Cell(PREDICTIONS, {}),
        _Cell(FAILED, {}, worth=1),
        _Cell(REPEATS, {"outcome": "answered"}, -1),
        _Cell(REPEATS, {"outcome": "failed"}, -1, -1),
    ),
    "paired": (
        _Cell(PAIRED, {"stable": "right", "canary": "right"}),
        _Cell(PAIRED, {"stable": "wrong", "canary": "wrong"}),
        _Cell(PAIRED, {"stable": "right", "canary": "wrong"}, worth=1),
        _Cell(PAIRED, {"stable": "wrong", "canary": "right"}, worth=-1),
    ),
    "split": (_Cell(SPLIT, {"outcome": "right"}), _Cell(SPLIT, {"outcome": "wrong"}, worth=1)),
}
_ARM = ("environment", "model", "revision", "variant")


def clustering(recorded: Recorded) -> list[Clustering]:
    """For each test, and each arm that it sees enough of."""
    found = []
    for test, cells in _TESTS.items():
        arms: dict[tuple[str, ...], list[tuple[Series, _Cell]]] = {}
        for series in recorded.series:
            for cell in (one for one in cells if one.fits(series)):
                arms.setdefault(tuple(series.labels.get(name, "") for name in _ARM), []).append((series, cell))
        for arm, listed in sorted(arms.items(), key=lambda item: item[0]):
            processes = [_steps(of_process) for of_process in _by_process(listed)]
            effect = design_effect(processes)
            if effect is not None:
                labels = {name: value for name, value in zip(_ARM, arm, strict=True) if value}
                found.append(Clustering(test, labels, round(sum(one[0].sum() for one in processes)), effect))
    return found


def design_effect(processes: Iterable[tuple[Counts, Counts, Counts]]) -> float | None:
    """The largest over stretches of 1, 2, 4, ... steps; None where there is too little to tell.

    Args:
        processes: for each, by step: how many requests, the sum of what they are worth, and of its square.
    """
    each = list(processes)
    count, total, square = (sum(float(process[part].sum()) for process in each) for part in range(3))
    variance = square / count - (total / count) ** 2 if count > 0 else 0.0
    effects: list[float] = []
    while variance > 0:
        spread = np.concatenate([_spread(count, total, 1 << len(effects)) for count, total, _ in each])
        if len(spread) < LEAST:
            break
        effects.append(float(spread.mean()) / variance)
    return max(effects, default=None)


def _spread(count: Counts, total: Counts, stretch: int) -> Counts:
    """Of neighbouring stretches of so many steps: the square of the difference of their means, as a multiple of what is
    expected of a variance of 1.
    """
    whole = len(count) // stretch * stretch
    n, x = (one[:whole].reshape(-1, stretch).sum(axis=1) for one in (count, total))
    both = (n[1:] > 0) & (n[:-1] > 0)
    after, before = n[1:][both], n[:-1][both]
    difference = x[1:][both] / after - x[:-1][both] / before
    return np.asarray(difference**2 / (1 / after + 1 / before), np.float64)


def _by_process(listed: Iterable[tuple[Series, _Cell]]) -> Iterator[list[tuple[Series, _Cell]]]:
    """By `boot`; of what was scraped twice, one."""
    processes: dict[str, dict[tuple[tuple[str, str], ...], tuple[Series, _Cell]]] = {}
    for series, cell in listed:
        own = tuple(sorted(item for item in series.labels.items() if item[0] not in ("job", "instance")))
        processes.setdefault(series.labels.get("boot", ""), {})[own] = (series, cell)
    for process in processes.values():
        yield list(process.values())


def _steps(listed: list[tuple[Series, _Cell]]) -> tuple[Counts, Counts, Counts]:
    """What one process counted from each step to the next."""
    times = sorted({time for series, _ in listed for time, _ in series.points})
    count, total, square = np.zeros((3, max(len(times) - 1, 0)))
    for series, cell in listed:
        at = dict(series.points)
        more = np.nan_to_num(np.diff([at.get(time, np.nan) for time in times])).clip(0)
        count += cell.requests * more
        total += cell.worth * more
        square += cell.requests * abs(cell.worth) * more
    return count, total, square
