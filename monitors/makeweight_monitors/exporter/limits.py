"""What is taken in at once and in a time: beyond that a request is sent away at once, and nothing is queued for it.

To be used from one thread, the event loop's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

MOST_REVISIONS = 32
"""Of a model, that are told apart."""
RESPONSE_TIMEOUT = 30.0
"""Seconds for which a logged request and its response wait for each other."""


@dataclass(frozen=True)
class Bounds:
    """What is taken in."""

    body: int = 10_000_000
    """Bytes of one body."""
    inflight: int = 64_000_000
    """Bytes of all bodies that are being received or counted."""
    requests: float = 2000.0
    """A second."""
    seconds: float = 30.0
    """Within which a body has to come."""


class Rate:
    """So many requests a second, and as many at once (a token bucket)."""

    def __init__(self, most: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self._clock = clock
        self._left = most
        self._at = clock()

    def take(self) -> float:
        """0 where there is place for one more, which is then taken; else the seconds until there is."""
        now = self._clock()
        self._left = min(self.most, self._left + (now - self._at) * self.most)
        self._at = now
        if self._left < 1:
            return (1 - self._left) / self.most
        self._left -= 1
        return 0.0
