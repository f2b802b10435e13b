"""How fine a clock is: what two of its readings differ by at the least.

Most count nanoseconds, those of some boards the ticks of a timer, thousands of times as long. Times in such steps would
be told as if they were exact.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_READINGS, _CHANGES = 1000, 3
"""What is looked at: readings; and where some of them are alike, so many steps."""
_MOST = 2_000_000
"""Readings, a tenth of a second or two, after which a clock that stands is looked at no longer."""


def step_ns(read: Callable[[], int] = time.perf_counter_ns) -> int:
    """The step of a clock in ns; 0: it is finer than two readings are apart.

    Args:
        read: the clock, in ns.
    """
    steps: list[int] = []
    last, alike = read(), False
    for count in range(_MOST):
        if count >= _READINGS and (not alike or len(steps) >= _CHANGES):
            break
        now = read()
        if now == last:
            alike = True
        else:
            steps.append(now - last)
            last = now
    return min(steps, default=0) if alike else 0
