"""What is told to end by SIGTERM, or by a terminal that is closed, ends as with Ctrl-C: what it was at is put in order
first."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Have SIGTERM, by which a job is cancelled and a machine shut down, and SIGHUP, by which a terminal that is closed
    ends what runs in it, leave the block as Ctrl-C does. What is to outlive its terminal (`nohup`) does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, interrupt)}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
