"""Programs that run code which is not makeweight's: each in a session of its own, and nothing of it outlives it.

What a program leaves behind may go out of its process group and its session, and lose its parent (a daemon). On Linux
it comes back to us all the same: while the program runs we are its subreaper (prctl(2), PR_SET_CHILD_SUBREAPER), so
that whatever below us loses its parent becomes our child. Elsewhere its process group is ended, and no more.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from makeweight_base.errors import EnvironmentFailed
from makeweight_base.interruptible import interruptible

_LINUX = sys.platform == "linux"
_SET_CHILD_SUBREAPER, _GET_CHILD_SUBREAPER = 36, 37
_GRACE = 2.0
"""Seconds that a process has between being asked to end and being ended."""
_PATIENCE = 10.0
"""Seconds until what is ended has gone; a process that hangs in the kernel never goes."""
_EVERY = 0.005


@contextlib.contextmanager
def started(
    command: Sequence[str], cwd: Path, environment: Mapping[str, str], *, stderr: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """A program whose output is to be read. When it ends, all that it left is ended.

    When the block is left early, or this process is told to end (SIGINT, SIGTERM), the program is ended as well.

    Raises:
        EnvironmentFailed: something that it left cannot be ended.
        KeyboardInterrupt: this process was told to end.
    """
    with interruptible(), _reaping():
        spared = _children()
        with subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            # In a thread: what is left behind may hold the output open, and a reader would wait for it.
            ending = _Ending(process, spared)
            ending.start()
            try:
                yield process
            except BaseException:
                _signal_group(process, signal.SIGINT)  # as Ctrl-C does on a terminal
                ending.join(_GRACE)
                process.kill()
                raise
            finally:
                ending.join()
        _refuse(ending.left, "a stage", "dvc")


@contextlib.contextmanager
def nothing_left() -> Iterator[None]:
    """A block that starts programs by itself; when it ends, all that they left is ended. On Linux alone.

    Raises:
        EnvironmentFailed: something that one of them left cannot be ended.
        KeyboardInterrupt: this process was told to end.
    """
    with interruptible(), _reaping():
        remains = _Remains(_children())
        try:
            yield
        finally:
            left = remains.end() if _LINUX else None
        _refuse(left, "code of the project's (`pipeline`, or what a device names)", "makeweight.yaml")


def _children() -> frozenset[int]:
    return frozenset(pid for pid, parent, _ in _processes() if parent == os.getpid())


def _refuse(left: set[int] | None, whose: str, where: str) -> None:
    if left is not None:
        raise EnvironmentFailed(
            f"{whose} left something behind that cannot be ended: {_named(left)}",
            where=where,
            do="Have it end with what started it. It is another user's, perhaps (`sudo`), or hangs.",
        )


class _Ending(threading.Thread):
    """Waits for a program, then ends what is left of it."""

    def __init__(self, process: subprocess.Popen[str], spared: frozenset[int]) -> None:
        super().__init__(daemon=True)
        self._process, self._remains = process, _Remains(spared)
        self.left: set[int] | None = None
        """What could not be ended, as far as it can be seen."""

    def run(self) -> None:
        self._process.wait()
        if _LINUX:
            self.left = self._remains.end()
        else:
            _signal_group(self._process, signal.SIGKILL)


class _Remains:
    """What is below this process, but for some children with all that is below them."""

    def __init__(self, spared: frozenset[int]) -> None:
        self._spared = spared

    def end(self) -> set[int] | None:
        """What could not be ended, as far as it can be seen; None: all has."""
        if self._send(signal.SIGTERM, time.monotonic() + _GRACE) is None:
            return None
        return self._send(signal.SIGKILL, None)

    def _send(self, how: signal.Signals, until: float | None) -> set[int] | None:
        """Send a signal once to each that is left and to what they start meanwhile, until all have gone or time is up.

        Args:
            until: a point of the monotonic clock; None: as long as what is told goes, since one that forks for ever is
                caught at some time, and a reader of its output waits for that.

        Returns what is left then, and None if that is nothing.
        """
        told: dict[int, float] = {}
        seen = time.monotonic()
        while (left := _below(self._spared)) or self._unseen():
            now = time.monotonic()
            for pid in left - told.keys():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, how)
            told = {pid: told.get(pid, now) for pid in left}
            seen = now if left else seen
            oldest = min(told.values(), default=seen)
            if now > (oldest + _PATIENCE if until is None else until):
                return left
            # one that is told has no time to start another
            time.sleep(_EVERY if until is not None or not left else 0)
        return None

    def _unseen(self) -> bool:
        """Whether something is left that cannot be seen from here (proc(5), `hidepid`), as far as the kernel tells.

        What has a descendant has a child.
        """
        if self._spared:
            return False
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        return True


def _below(spared: frozenset[int]) -> set[int]:
    """The processes below this one, also what has ended and was not waited for before this look; but for some children
    with all that is below them.

    One that forks for ever and ends may never be met alive by looking at all processes, one after the other. But what
    has ended is there until it is waited for, which is done here: where nobody is found, nobody was there as the look
    began.
    """
    children: dict[int, list[int]] = {}
    ended = set()
    for pid, parent, state in _processes():
        children.setdefault(parent, []).append(pid)
        if state in "ZX":
            ended.add(pid)
    ours = [pid for pid in children.get(os.getpid(), ()) if pid not in spared]
    for pid in ended.intersection(ours):
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    found: set[int] = set()
    while ours:
        found.add(pid := ours.pop())
        ours += children.get(pid, ())
    return found


def _processes() -> Iterator[tuple[int, int, str]]:
    """The number, the parent and the state of each process (proc(5), `/proc/pid/stat`)."""
    for entry in os.scandir("/proc") if _LINUX else ():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                # the name of a process stands in parentheses, and may hold some
                state, parent = Path(entry.path, "stat").read_bytes().rpartition(b")")[2].split()[:2]
                yield int(entry.name), int(parent), state.decode()


def _signal_group(process: subprocess.Popen[str], how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, how)


@contextlib.contextmanager
def _reaping() -> Iterator[None]:
    """Have whatever loses its parent below this process come to it."""
    if not _LINUX:
        yield
        return
    libc, before = ctypes.CDLL(None, use_errno=True), ctypes.c_int()
    libc.prctl(_GET_CHILD_SUBREAPER, ctypes.byref(before), 0, 0, 0)
    if libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        why = os.strerror(ctypes.get_errno())
        raise EnvironmentFailed(f"what stages leave behind would get away here: {why}", where="prctl")
    try:
        yield
    finally:
        libc.prctl(_SET_CHILD_SUBREAPER, before.value, 0, 0, 0)


def _named(pids: set[int]) -> str:
    return f"process {', '.join(map(str, sorted(pids)))}" if pids else "a process that cannot be seen from here"
