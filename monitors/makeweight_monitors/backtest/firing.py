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
    until = 0.0
    for time in times:
        if begun is not None and time > until + step * 1.5:
            yield Episode(begun, fired, until)
            begun = fired = None
        if begun is None:
            begun = time
        if fired is None and time - begun >= hold - 1e-6:
            fired = time
        until = time if fired is None else time + keep
    if begun is not None:
        yield Episode(begun, fired, until)
