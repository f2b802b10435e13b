"""How a process ended, and the last that it said. Python's standard library alone."""

from __future__ import annotations

import signal

ASKED_TO_END = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What somebody ends a process by, which says nothing of what ran in it."""
FROM_OUTSIDE = (signal.SIGKILL, *ASKED_TO_END)
"""The same, and what systems end one by that run out of memory."""


def last_line(said: str) -> str:
    """Of what was said, the last line that has something in it."""
    return next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "it said nothing")


def ended(code: int, said: str) -> str:
    """`exit code 3: no space left`, or `signal 9: it said nothing`; a signal by its number, since the names that other
    systems have for theirs are not known here.

    Args:
        code: negative for the signal that ended it.
    """
    return f"{f'signal {-code}' if code < 0 else f'exit code {code}'}: {last_line(said)}"
