"""Trials in processes of this machine."""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import Any

from makeweight.search.executor import ATTEMPTS, Done, Job
from makeweight.search.work import carry_out


class Processes:
    """A pool of processes that live from job to job, so that what they import is imported once."""

    def __init__(self, slots: int, work: Callable[[Job], Any] | None = None) -> None:
        """Args:
        work: what is done with a job, by a function that other processes find; None: a trial's.
        """
        self.slots, self._work = slots, work or carry_out
        self._running: dict[Future[Any], tuple[Job, int]] = {}
        self._pool: ProcessPoolExecutor | None = self._started()
        # each is begun when something is asked of it, and takes a second to be there
        for _ in range(slots):
            self._pool.submit(os.getpid)

    def submit(self, job: Job) -> None:
        self._begin(job, 1)

    def wait(self, seconds: float) -> list[Done]:
        done, _ = concurrent.futures.wait(self._running, seconds, concurrent.futures.FIRST_COMPLETED)
        ended, again = [], []
        for future in done:
            job, attempt = self._running.pop(future)
            try:
                ended.append(Done(job, future.result()))
            except BrokenProcessPool:
                again.append((job, attempt))
        if again:
            # with one process the pool is lost, and all others that were under way come back with it
            others = [self._running.pop(future) for future in list(self._running)]
            self._end_pool(kill=True)
            for job, attempt in again + others:
                if attempt >= ATTEMPTS:
                    ended.append(Done(job, None, f"its process was killed, {ATTEMPTS} times"))
                else:
                    self._begin(job, attempt + 1)
        return ended

    def close(self) -> None:
        under_way = bool(self._running)
        self._running.clear()
        self._end_pool(kill=under_way)

    def _begin(self, job: Job, attempt: int) -> None:
        if self._pool is None:
            self._pool = self._started()
        try:
            future = self._pool.submit(self._work, dict(job))
        except BrokenProcessPool:  # it broke since, and nobody has waited yet
            future = Future()
            future.set_exception(BrokenProcessPool())
        self._running[future] = job, attempt

    def _started(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self.slots, multiprocessing.get_context("spawn"), initializer=_alone)

    def _end_pool(self, *, kill: bool) -> None:
        """A trial may take hours: what is under way is killed, and taken up again another time."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        for child in list((getattr(pool, "_processes", None) or {}).values()) if kill else ():
            with contextlib.suppress(OSError, ValueError):
                child.kill()
        pool.shutdown(wait=True, cancel_futures=True)


def _alone() -> None:
    """Deaf to the terminal's Ctrl-C, which is for who started this; and gone where that is gone, however it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_outlived, args=(parent.sentinel,), daemon=True).start()


def _outlived(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
