"""From when an alert's expression was true to when it would have fired. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Episode:
    """One time that an alert was true without a break, in Unix seconds."""

    pending: float
    """Since when it was true."""
    fired: float | None
    """Since when it fired; None: it was not true for long enough."""
    until: float
    """The last evaluation at which it fired, or was true."""


def episodes(times: Iterable[float], step: float, hold: float, keep: float = 0.0) -> Iterator[Episode]:
    """The episodes of one series of an alert.

    Args:
        times: evaluations at which the expression had a value, in order, `step` seconds apart or more.
        hold: `for`; keep: `keep_firing_for`. Both as Prometheus has them: an alert that fires goes on to do so for
            `keep` after it was last true, and being true again within that time is no new episode.
    """
    begun: float | None = None
    fired: float | None = None
    last = 0.0
    for time in times:
        patience = step * 1.5 + (keep if fired is not None else 0.0)
        if begun is not None and time - last > patience:
            yield _ended(begun, fired, last, keep)
            begun = fired = None
        if begun is None:
            begun = time
        if fired is None and time - begun >= hold - 1e-6:
            fired = time
        last = time
    if begun is not None:
        yield _ended(begun, fired, last, keep)


def _ended(begun: float, fired: float | None, last: float, keep: float) -> Episode:
    return Episode(begun, fired, last + keep if fired is not None else last)
