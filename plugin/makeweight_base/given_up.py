"""Work that is given up where it takes too long. A thread cannot be ended, so it goes on by itself until the process
ends, and the process ends without taking down what it uses."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Self, TypeVar

Found = TypeVar("Found")
_at_work: set[threading.Thread] = set()
"""What has not come to its end yet, whether it is waited for or not."""
_A_WAIT = 10.0
"""Seconds that are waited without a break: of a time in which this process or its machine stood still, as after Ctrl-Z
or with the lid closed, no more than that counts."""


class TooLong(Exception):
    """It has not come to its end in the time that it had, and was given up."""


class OtherThread:
    """A thread that does one thing after the other, until it is left as a context. Who waits for it hears Ctrl-C.

    It is of no use any more once something was given up.
    """

    def __init__(self) -> None:
        self._asked: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._asked.put(None)

    def do(self, work: Callable[[], Found], seconds: float) -> Found:
        """Have it done there.

        Raises:
            TooLong: it takes longer. Besides, whatever the work raises.
        """
        found: list[Found] = []
        failed: list[BaseException] = []
        ended = threading.Lock()  # an Event takes as long as a small model's inference
        ended.acquire()

        def done() -> None:
            try:
                found.append(work())
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                failed.append(error)
            _at_work.discard(self._thread)
            ended.release()

        _at_work.add(self._thread)
        self._asked.put(done)
        if not _released(ended, seconds):
            raise TooLong
        if failed:
            raise failed.pop()
        return found.pop()

    def _serve(self) -> None:
        while (work := self._asked.get()) is not None:
            work()
            del work  # with what it was done on


def _released(lock: threading.Lock, seconds: float) -> bool:
    """Whether it is in that time."""
    while not lock.acquire(timeout=min(seconds, _A_WAIT)):
        seconds -= _A_WAIT
        if seconds <= 0:
            return False
    return True


def at_work() -> bool:
    """Whether something that was given up still goes on."""
    return bool(_at_work)


def leave(code: int) -> None:
    """End the process with that exit code where something is still at work that was given up: a runtime that computes
    while Python and its libraries are taken down under it would abort it. What was registered for the end is done."""
    if not at_work():
        return
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(code)
