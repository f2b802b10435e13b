"""What a model server's log is told of bad data: for each reason once a minute, so that it never fills the log."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable

_EVERY = 60.0
_log = logging.getLogger("makeweight_monitors")


class Complaints:
    """One line of the log for each reason and minute; how many were kept back is part of the next."""

    def __init__(self, about: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._about = about
        self._clock = clock
        self.renew()
        self._next: dict[str, float] = {}
        self._kept: dict[str, int] = {}
        _living.add(self)

    def renew(self) -> None:
        """In a child process: another thread of the parent may have held the lock."""
        self._lock = threading.Lock()

    def say(self, reason: str, what: str) -> None:
        now = self._clock()
        with self._lock:
            if now < self._next.get(reason, now):
                self._kept[reason] = self._kept.get(reason, 0) + 1
                return
            self._next[reason] = now + _EVERY
            more = self._kept.pop(reason, 0)
        _log.warning("%s: %s (%s)%s", self._about, what, reason, f"; {more} more before it" if more else "")


def _renew() -> None:
    for complaints in list(_living):
        complaints.renew()


_living: weakref.WeakSet[Complaints] = weakref.WeakSet()
os.register_at_fork(after_in_child=_renew)
