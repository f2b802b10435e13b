"""How fine a clock is: what two of its readings differ by at the least.

Most count nanoseconds, those of some boards the ticks of a timer, thousands of times as long. Times in such steps would
be told as if they were exact.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

SHORTEST_TIMED_NS = 10_000
"""Below this a single call is timed with the clock's own error; several calls are timed together instead."""
_STEPS = 100
"""Steps of a coarse clock that are timed together at least, so that one of them is a hundredth of it."""
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


def cpu_step_ns() -> int:
    """The step of the clock of this thread's processor time, see `step_ns`: with many a kernel it is another one."""
    return step_ns(time.thread_time_ns)


def least_ns(step: int) -> int:
    """How long what is timed together takes at least, by a clock of that step."""
    return max(SHORTEST_TIMED_NS, _STEPS * step)


def together(shortest: float, step: int) -> int:
    """How many calls are timed together.

    Args:
        shortest: ns that one takes, of those that are compared; 0: less than a step. Where the clock shows nothing at
            all, more of nothing would not help; what reads the times says so.
        step: of the clock, in ns.
    """
    least = least_ns(step)
    return max(1, math.ceil(least / (shortest or step or least)))
