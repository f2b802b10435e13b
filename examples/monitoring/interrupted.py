"""A demo that ends on Ctrl-C with every part stopped, also where it was started in the background, deaf to it."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable

from makeweight_base.errors import Exit, MakeweightError

INTERRUPTED = threading.Event()
"""What a signal's handler raises is dropped where it comes in the middle of a finalizer; that it came is not."""


def ended(demo: Callable[[], int]) -> int:
    """Run a demo; its exit code, and that of what went wrong."""
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, _interrupted)
    try:
        return demo()
    except MakeweightError as error:
        print(f"error: {error}", file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted; every part is stopped", file=sys.stderr)
        return int(Exit.INTERRUPTED)


def wait(seconds: float) -> None:
    """KeyboardInterrupt: it is to end."""
    if INTERRUPTED.wait(seconds):
        raise KeyboardInterrupt


def _interrupted(*_: object) -> None:
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, signal.SIG_IGN)  # a second Ctrl-C is not to keep it from ending the parts
    INTERRUPTED.set()
    raise KeyboardInterrupt
