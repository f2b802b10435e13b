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
from dataclasses import dataclass
from multiprocessing import connection, resource_tracker
from typing import Any

from makeweight.search.executor import ATTEMPTS, Done, Job
from makeweight.search.work import carry_out


@dataclass(frozen=True)
class _Begun:
    """A job that a process is at work on."""

    job: Job
    attempt: int
    pool: ProcessPoolExecutor


class Processes:
    """Processes that live from job to job, so that what they import is imported once. Each is a pool of its own, since
    all that a pool was at is lost with any one of its processes: a job that kills its own costs no other's attempt."""

    def __init__(self, slots: int, work: Callable[[Job], Any] | None = None) -> None:
        """Args:
        work: what is done with a job, by a function that other processes find; None: a trial's.
        """
        self.slots, self._work = slots, work or carry_out
        self._running: dict[Future[Any], _Begun] = {}
        self._idle = [_started() for _ in range(slots)]
        # each is begun when something is asked of it, and takes a second to be there
        with _deaf():
            for pool in self._idle:
                pool.submit(os.getpid)

    def submit(self, job: Job) -> None:
        self._begin(job, 1)

    def wait(self, seconds: float) -> list[Done]:
        done, _ = concurrent.futures.wait(self._running, seconds, concurrent.futures.FIRST_COMPLETED)
        ended = []
        for future in done:
            begun = self._running.pop(future)
            if not isinstance(future.exception(), BrokenProcessPool):
                self._idle.append(begun.pool)
                ended.append(Done(begun.job, future.result()))
                continue
            _end(begun.pool, kill=True)
            if begun.attempt < ATTEMPTS:
                self._begin(begun.job, begun.attempt + 1)
            else:
                ended.append(Done(begun.job, None, f"its process was killed, {ATTEMPTS} times"))
        return ended

    def close(self) -> None:
        """A trial may take hours: what is under way is killed, and taken up again another time."""
        for begun in self._running.values():
            _end(begun.pool, kill=True)
        for pool in self._idle:
            _end(pool, kill=False)
        self._running.clear()
        self._idle.clear()

    def _begin(self, job: Job, attempt: int) -> None:
        pool = self._idle.pop() if self._idle else _started()
        with _deaf():
            try:
                future = pool.submit(self._work, dict(job))
            except BrokenProcessPool:  # it was killed while it had nothing to do
                _end(pool, kill=True)
                pool = _started()
                future = pool.submit(self._work, dict(job))
        self._running[future] = _Begun(job, attempt, pool)


def _started() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_alone)


def _end(pool: ProcessPoolExecutor, *, kill: bool) -> None:
    for child in list((getattr(pool, "_processes", None) or {}).values()) if kill else ():
        with contextlib.suppress(OSError, ValueError):
            child.kill()
    pool.shutdown(wait=True, cancel_futures=True)


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
