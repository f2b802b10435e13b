"""A program that runs on a device for no longer than somebody here waits for it, and how it is known that it ran."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

LOST = 255
"""The exit code by which ssh and adb tell that they failed themselves."""
BEGINS = "makeweight-begins-here"
"""The line that goes before what a script prints or says: a user's own shell may greet before it, and what reaches the
device may fail before the script begins."""
_BY_SIGNAL = 128
"""A shell adds to this the signal that ended a program."""
GRACE = 5
"""Seconds that a program gets to end when it is asked to, as to give a governor back."""


def watched(command: str, before: str = "", after: str = "") -> str:
    """A script of the shell that runs a command there and ends it when its own standard input ends: so it does however
    this side ends. One that does not end when it is asked to, as where a runtime never returns, is killed, with what it
    has started where it leads a group of its own.

    Args:
        command: one simple command, quoted.
        before, after: lines to go first and last; `$code` is how the command ended.
    """
    return f"""
        {before}
        exec 3<&0
        {command} </dev/null 3<&- &
        program=$!
        {{ cat <&3; kill $program; sleep {GRACE}; kill -9 $program; }} >/dev/null 2>&1 &
        watching=$!
        exec 3<&-
        # some shells would tell here, at length, what ended it
        wait $program 2>/dev/null
        code=$?
        kill $watching 2>/dev/null
        kill -9 -$program 2>/dev/null
        {after}
        exit $code"""


@contextlib.contextmanager
def attended() -> Iterator[int]:
    """The standard input of such a script: it ends with this side, however that ends."""
    ours, held = os.pipe()
    try:
        yield ours
    finally:
        os.close(ours)
        os.close(held)


def code_of(told: int) -> int:
    """A program's return code, negative for a signal, from the exit code of the shell that ran it."""
    return _BY_SIGNAL - told if _BY_SIGNAL < told < LOST else told
