"""How much is taken in at once: beyond that a request is sent away, and nothing is queued for it.

To be used from one thread, the event loop's.
"""

from __future__ import annotations


class Inflight:
    """How many bytes of bodies are being received or counted."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0

    def take(self, size: int) -> bool:
        """Whether there is room for so many more; they are taken if there is."""
        if self.held + size > self.most:
            return False
        self.held += size
        return True

    def give_back(self, size: int) -> None:
        self.held -= size
