"""Answers that did not overlap: of all that were on their way during one stall, one counts."""

from __future__ import annotations

import math


class Apart:
    """Which answers count: those that began after the last one that counted had ended. Times are in seconds.

    Of several that began after that, the first to end counts, which is rather a quick one: what is left out makes an
    arm look no slower than it is.

    Args:
        longest: an answer that took longer counts as if it had begun so long before its end, or of a queue that only
            grows hardly any would.
    """

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._ended = -math.inf

    def counts(self, ended: float, took: float) -> bool:
        """Whether an answer does; they come in the order in which they ended. What took no number of seconds does."""
        if ended - min(took, self._longest) < self._ended:
            return False
        self._ended = ended
        return True
