"""Trials in processes of this machine."""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, resource_tracker
from typing import Any

from makeweight.search.executor import Done, Job
from makeweight.search.work import carry_out
from makeweight_base.ended import ended


class Processes:
    """Processes that live from job to job, so that what they import is imported once. Each is a pool of its own, since
    all that a pool was at is lost with any one of its processes: a job that kills its own takes no other with it."""

    shares_machine = True

    def __init__(self, slots: int, work: Callable[[Job], Any] | None = None) -> None:
        """Args:
        work: what is done with a job, by a function that other processes find; None: a trial's.
        """
        self.slots, self._work = slots, work or carry_out
        self._running: dict[Future[Any], tuple[Job, ProcessPoolExecutor]] = {}
        self._idle = [_started() for _ in range(slots)]
        # each is begun when something is asked of it, and takes a second to be there
        with _deaf():
            for pool in self._idle:
                pool.submit(os.getpid)

    def submit(self, job: Job) -> None:
        pool = self._idle.pop() if self._idle else _started()
        with _deaf():
            try:
                future = pool.submit(self._work, dict(job))
            except BrokenProcessPool:  # it was killed while it had nothing to do
                _end(pool)
                pool = _started()
                future = pool.submit(self._work, dict(job))
        self._running[future] = job, pool

    def wait(self, seconds: float) -> list[Done]:
        done, _ = concurrent.futures.wait(self._running, seconds, concurrent.futures.FIRST_COMPLETED)
        found = []
        for future in done:
            job, pool = self._running.pop(future)
            if isinstance(future.exception(), BrokenProcessPool):
                found.append(Done(job, None, f"its process was ended ({_end(pool)})"))
            else:
                found.append(Done(job, future.result()))
                if future.result().get("stuck"):
                    _end(pool)
                else:
                    self._idle.append(pool)
        return found

    def close(self) -> None:
        """A trial may take hours: what is under way is killed, and taken up again another time. What has nothing to do
        is killed too: to put away all that it imported takes a second or more."""
        for pool in (*(pool for _, pool in self._running.values()), *self._idle):
            _end(pool)
        self._running.clear()
        self._idle.clear()


def _started() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_alone)


def _end(pool: ProcessPoolExecutor) -> str:
    """Kill its process, if it is there; how that came to its end."""
    children = list((getattr(pool, "_processes", None) or {}).values())
    for child in children:
        with contextlib.suppress(OSError, ValueError):
            child.kill()
    pool.shutdown(wait=True, cancel_futures=True)
    return ", ".join(ended(child.exitcode or 0) for child in children)


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """What is begun within this hears no Ctrl-C until `_alone` sees to it: what a process imports first takes a second,
    in which it would die of one, with a traceback."""
    resource_tracker.ensure_running()  # which lets Ctrl-C through again when it begins its own process
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _alone() -> None:
    """Deaf to the terminal's Ctrl-C, which is for who started this; and gone where that is gone, however it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_outlived, args=(parent.sentinel,), daemon=True).start()


def _outlived(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
