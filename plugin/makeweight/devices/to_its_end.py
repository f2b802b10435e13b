"""A program of this computer, waited for until it ends, and only for so long; what it started ends with it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from makeweight.devices.watched import GRACE, attended


class TooLong(Exception):
    """It has not ended in time, and was ended."""


@dataclass(frozen=True)
class Came:
    """How it came to its end."""

    code: int
    """Its exit code; negative: the signal that ended it."""
    printed: str
    said: str
    """What it wrote to its standard output, and to its standard error."""


def to_its_end(words: Sequence[str], patience: float, *, attending: bool = False) -> Came:
    """Run a program that reads nothing.

    It gets a session of its own, so that all of it can be ended, and Ctrl+C of a terminal reaches it through us alone.
    What it leaves behind when it ends is killed, since that would run beside what is measured next.

    Args:
        patience: seconds.
        attending: it is a script of `watched`, which ends by itself when its standard input does, so however we end.

    Raises:
        TooLong: it does not end in time.
        OSError: it cannot be started.
    """
    with (
        # a pipe would be kept open by what it leaves behind
        tempfile.TemporaryFile() as printed,
        tempfile.TemporaryFile() as said,
        contextlib.ExitStack() as held,
    ):
        given = held.enter_context(attended()) if attending else subprocess.DEVNULL
        process = subprocess.Popen(words, stdin=given, stdout=printed, stderr=said, start_new_session=True)
        ended = threading.Event()
        # a wait that is limited looks again and again, beside what is measured
        threading.Thread(target=_wait, args=(process, ended), daemon=True).start()
        try:
            if not ended.wait(patience):
                raise TooLong
        finally:
            if not ended.is_set():
                held.close()
                if not attending:
                    _signal(process, signal.SIGTERM)
                ended.wait(2 * GRACE)
            _signal(process, signal.SIGKILL)
            ended.wait(GRACE)  # what waits for hardware that does not answer ends for no signal
        texts = []
        for file in (printed, said):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
        return Came(process.returncode, *texts)


def _wait(process: subprocess.Popen[bytes], ended: threading.Event) -> None:
    process.wait()
    ended.set()


def _signal(process: subprocess.Popen[bytes], which: signal.Signals) -> None:
    # macOS says the latter of a group that has ended
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, which)
