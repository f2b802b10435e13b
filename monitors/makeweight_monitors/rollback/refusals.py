"""Requests that are refused, in the audit log: once a minute for each reason, with how many more there were, so that no
stranger fills the disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from makeweight_monitors.rollback.journal import Journal
from makeweight_monitors.rollback.logs import stamp

_EVERY = 60.0


class Refusals:
    """What is refused, counted by endpoint and status."""

    def __init__(self, journal: Journal, clock: Callable[[], float] = time.time) -> None:
        self._journal, self._clock = journal, clock
        self._next: dict[tuple[str, int], float] = {}
        self._kept: dict[tuple[str, int], int] = {}

    def note(self, endpoint: str, status: int, what: str, sender: str) -> None:
        """EnvironmentFailed: the journal cannot be written."""
        kind, now = (endpoint, status), self._clock()
        if now < self._next.get(kind, now):
            self._kept[kind] = self._kept.get(kind, 0) + 1
            return
        self._next[kind] = now + _EVERY
        line = {"time": stamp(now), "event": "refused", "sentence": what, "endpoint": endpoint, "status": status}
        self._journal.note(line | {"sender": sender, "more_before": self._kept.pop(kind, 0)})
