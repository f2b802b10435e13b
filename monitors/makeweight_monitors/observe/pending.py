"""Predictions that wait for their label: bounded, for a limited time, in SQLite, so that a restart forgets none.

A prediction is put aside in memory, which costs the request next to nothing; a thread writes what was put aside every
second. What a killed process had not written yet is lost, and its labels are `unknown` later. Processes of one model
may share a file; each label is matched once. Nobody but that thread waits for a file that is locked: a label that comes
meanwhile is put aside too, and a scrape is answered from memory.
"""

from __future__ import annotations

import atexit
import numbers
import os
import sqlite3
import threading
import time
import uuid
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from makeweight_base.errors import UsageError
from makeweight_monitors.observe.labelfile import (
    MATCHED,
    PATIENCE,
    WAITING,
    LabelFile,
    Locked,
    Owner,
    Row,
    Taken,
    result_of,
)

DAY = 86_400.0
MOST = 1_000_000
EVERY = 1.0
"""Seconds between two writes."""
MOST_FRESH = 50_000
"""Predictions, and as many labels, that are held in memory while the disk does not take them."""
_CROWDED = 5_000
"""So many of them are written at once, ahead of time."""
_BACKWARDS = 1000
"""Milliseconds by which a clock may fall back before that is an event: time servers nudge it."""
LONGEST_ID = 200
"""Characters."""
_LOCKED_LONG = 5
"""Rounds of the thread in a row that found the file locked, before that is told."""
_FORK_PATIENCE = 2.0
"""Seconds for which a fork waits until nobody is within SQLite."""
_BREATH = 0.001
"""Seconds for which the file is left to others between two chunks of work: a lock that is taken again at once is not
seen to be free.
"""
_FAILURES = (sqlite3.Error, UsageError)


class Listener(Protocol):
    """Who counts what happens to predictions later than they were put aside."""

    @property
    def variant(self) -> str: ...

    def expired(self, owner: Owner, count: int) -> None: ...

    def refused(self, owner: Owner | None, reason: str, count: int, what: str) -> None: ...

    def store_failed(self, what: str) -> None: ...


@dataclass(frozen=True)
class _Deferred:
    """Labels that came while the file was locked."""

    ids: Sequence[str]
    at: int
    later: Callable[[list[Taken]], object]


class Pending:
    """The store.

    Args:
        path: the file; None keeps all in memory, and a restart forgets it.
        timeout: seconds that a prediction waits.
        most: how many may wait; more are refused, and counted.
        clock: Unix time in seconds.
        every: seconds between two writes; 0: nobody writes but who calls `tend`.

    Raises:
        UsageError: the file is no label store. A disk that is full or missing is none of these: it is told to the
            listeners, tried again, and what waits stays in memory while it fits.
    """

    def __init__(
        self,
        path: Path | str | None = None,
        *,
        timeout: float = DAY,
        most: int = MOST,
        clock: Callable[[], float] = time.time,
        every: float = EVERY,
    ) -> None:
        if timeout <= 0 or most <= 0:
            raise UsageError("a label store needs a positive time-out and room for at least one prediction")
        self.path = None if path is None else Path(path)
        self.timeout = timeout
        self.most = most
        self._clock = clock
        self._every = every
        self._file = LabelFile(self.path, timeout, most)
        self._listeners: list[weakref.ref[Listener]] = []
        self._stored: Counter[Owner] = Counter()
        self._settle()
        try:
            self._look()
        except Locked:
            pass  # the first `tend` will look
        except sqlite3.OperationalError:
            pass  # told by the first `tend`, when there is somebody to tell
        except sqlite3.DatabaseError as error:
            raise UsageError(
                f"this is no label store: {error}",
                where=str(self.path),
                do="Name a file of its own; it is made where there is none.",
            ) from error
        _living.add(self)

    def _settle(self) -> None:
        self._lock = threading.Lock()
        """For what is in memory; held for moments only."""
        self._storing = threading.RLock()
        """For the file; held for `PATIENCE` and what one transaction takes."""
        self._fresh: dict[str, Row] = {}
        self._deferred: list[_Deferred] = []
        self._locked = 0
        self._latest = 0
        self._fell_back = False
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False

    def part(self) -> bool:
        """Ahead of a fork: be the only one at the file, and let go of it. False where another thread does not end."""
        if not self._storing.acquire(timeout=_FORK_PATIENCE):
            return False
        self._file.close()
        return True

    def rejoin(self) -> None:
        """After a fork, in the process that was parted."""
        self._storing.release()

    def renew(self, *, parted: bool) -> None:
        """Begin anew in a child process: what the parent put aside the parent will write."""
        self._file.forsake(stranded=not parted)
        if self.path is None:
            self._stored = Counter()
        self._settle()

    def attach(self, model: str, listener: Listener) -> None:
        """Say who counts.

        Raises:
            UsageError: the store holds another model's predictions; their ids may be the same.
        """
        with self._storing:
            try:
                self._file.claim(model)
            except (Locked, sqlite3.Error):
                self._file.close()  # whose it is will be found when it is opened again
        self._listeners.append(weakref.ref(listener))

    def put(self, id: str, owner: Owner, answer: str, slice: str = "") -> str | None:
        """Put a prediction aside.

        Returns:
            Why it is refused, one of metrics.REJECTIONS; None where it is not.
        """
        at = self._now()
        with self._lock:
            if id in self._fresh:
                return "duplicate_id"
            if self._stored.total() + len(self._fresh) >= self.most:
                return "too_many_ids"
            if len(self._fresh) >= MOST_FRESH:
                return "store_failed"
            self._fresh[id] = (at, WAITING, owner, answer, slice)
            crowded = len(self._fresh) % _CROWDED == 0
        if self._thread is None and self._every:
            self._start()
        if crowded:
            self._wake.set()
        return None

    @property
    def fresh(self) -> int:
        """How many are in memory and not written yet."""
        return len(self._fresh)

    def take(self, ids: Sequence[str], later: Callable[[list[Taken]], object] | None = None) -> list[Taken]:
        """Match labels with their predictions, each once.

        Never raises for a file that fails: a label that could not be looked up is `rejected`. Never waits for one that
        is locked: then all are `deferred`.

        Args:
            later: called with what became of those that are deferred, by the thread that looked them up.
        """
        now = self._now()
        if not self._storing.acquire(timeout=PATIENCE):
            return self._defer(_Deferred(ids, now, later or _nothing))
        try:
            return self._take(ids, now)
        except Locked:
            return self._defer(_Deferred(ids, now, later or _nothing))
        finally:
            self._storing.release()

    def waiting(self) -> dict[Owner, int]:
        """How many predictions wait, by whose they are, as of when the file was last looked at."""
        with self._lock:
            fresh = Counter(row[2] for row in self._fresh.values() if row[1] == WAITING)
            return dict(fresh + self._stored)

    def tend(self) -> None:
        """Write what was put aside, match labels that were, let time-outs pass, forget what is long settled. The
        store's thread calls this.
        """
        now = self._now()
        try:
            self._write(now)
            self._match()
            self._expire(now)
            self._forget(now)
            self._locked = 0
        except Locked:
            self._locked += 1
            if self._locked == _LOCKED_LONG:
                self._tell_failed("is locked by somebody else")
        except _FAILURES as error:
            self._failed(error)

    def _write(self, now: int) -> None:
        with self._storing:
            with self._lock:
                batch = dict(self._fresh)
            refused = self._file.write(batch)
            with self._lock:
                for id, row in batch.items():
                    # one that was matched meanwhile cannot be: that needs `_storing`
                    if self._fresh.get(id) is row:
                        del self._fresh[id]
            self._look()
            if self._fell_back:
                self._file.date_back(now)
                self._fell_back = False
        for owner, count in refused.items():
            for ear in self._ears(owner):
                ear.refused(owner, "duplicate_id", count, "an id came again")

    def _match(self) -> None:
        """Labels that were put aside, as if they had been looked up when they came."""
        while True:
            with self._storing:
                if not self._deferred:
                    return
                first = self._deferred[0]
                taken = self._take(first.ids, first.at)
                with self._lock:
                    del self._deferred[0]
            first.later(taken)

    def _expire(self, now: int) -> None:
        chunks = self._file.expire(now)
        while True:
            with self._storing:
                gone = next(chunks, None)
                self._look()
            if not gone:
                return
            for owner, count in gone.items():
                for ear in self._ears(owner):
                    ear.expired(owner, count)
            time.sleep(_BREATH)

    def _forget(self, now: int) -> None:
        chunks = self._file.forget(now)
        while True:
            with self._storing:
                done = next(chunks, None)
            if done is None:
                return
            if done:
                time.sleep(_BREATH)

    def close(self) -> None:
        """Write what was put aside, and let go of the file."""
        if self._closed:
            return
        self._closed = True
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(10)
        self.tend()
        lost, self._deferred = self._deferred, []
        for labels in lost:
            labels.later([Taken("rejected")] * len(labels.ids))
        with self._storing:
            self._file.close()

    def _look(self) -> None:
        """Remember how many wait in the file."""
        stored = self._file.waiting()
        with self._lock:
            self._stored = stored

    def _take(self, ids: Sequence[str], now: int) -> list[Taken]:
        try:
            stored = self._file.take(ids, now)
            self._look()
        except _FAILURES as error:
            self._failed(error)
            # what waits in memory can still be matched; what may be in the file cannot be known
            return [self._take_fresh(id, now) or Taken("rejected") for id in ids]
        return [taken or self._take_fresh(id, now) or Taken("unknown") for id, taken in zip(ids, stored, strict=True)]

    def _defer(self, labels: _Deferred) -> list[Taken]:
        with self._lock:
            full = sum(len(before.ids) for before in self._deferred) + len(labels.ids) > MOST_FRESH
            if not full:
                self._deferred.append(labels)
        if full:
            self._tell_failed("is locked for so long that labels are lost")
            return [Taken("rejected")] * len(labels.ids)
        if self._every:
            self._start()
        return [Taken("deferred")] * len(labels.ids)

    def _now(self) -> int:
        now = int(self._clock() * 1000)
        latest = self._latest
        if now < latest - _BACKWARDS:
            # What was put aside in the time that is no more would wait too long: the next `tend` dates it back.
            self._fell_back = True
            self._latest = now
            for ear in self._ears():
                ear.refused(None, "clock", 1, f"the clock went back by {(latest - now) / 1000:.0f} s")
        elif now > latest:
            self._latest = now
        return now

    def _take_fresh(self, id: str, now: int) -> Taken | None:
        with self._lock:
            row = self._fresh.get(id)
            if row is None:
                return None
            at, state, owner, answer, slice = row
            result = result_of(at, state, now, self.timeout)
            if result == "matched":
                self._fresh[id] = (at, MATCHED, owner, answer, slice)
            return Taken(result, owner, answer, slice)

    def _failed(self, error: Exception) -> None:
        with self._storing:
            self._file.close()
        self._tell_failed(f"failed: {error}")

    def _tell_failed(self, what: str) -> None:
        for ear in self._ears():
            ear.store_failed(f"the label store {self.path or 'in memory'} {what}")

    def _ears(self, owner: Owner | None = None) -> list[Listener]:
        """The one listener to tell: that of the owner's variant, if there is one."""
        ears = [ear for ear in (reference() for reference in self._listeners) if ear is not None]
        fitting = [ear for ear in ears if owner is not None and ear.variant == owner.variant]
        return (fitting or ears)[:1]

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(
                    target=_tend,
                    args=(weakref.ref(self), self._wake, self._every),
                    name="makeweight-labels",
                    daemon=True,
                )
                self._thread.start()


def identity(given: Any) -> str | None:
    """An id as text; None where it cannot be one."""
    if given.__class__ is not str:
        if isinstance(given, bool) or not isinstance(given, str | bytes | numbers.Integral | uuid.UUID):
            return None
        given = given.decode(errors="replace") if isinstance(given, bytes) else str(given)
    if not 0 < len(given) <= LONGEST_ID:
        return None
    if not given.isascii():
        try:
            given.encode()
        except UnicodeEncodeError:
            return None
    return cast(str, given)


def _tend(store: weakref.ref[Pending], wake: threading.Event, every: float) -> None:
    while True:
        wake.wait(every)
        wake.clear()
        pending = store()
        if pending is None or pending._closed:
            return
        pending.tend()
        del pending


def _nothing(taken: list[Taken]) -> None:
    """For labels that nobody counts."""


def _close_all() -> None:
    for store in list(_living):
        store.close()


def _part() -> None:
    """Ahead of a fork: a thread within SQLite holds locks that its copy in the child would never let go of."""
    _parted[threading.get_ident()] = [store for store in list(_living) if store.part()]


def _rejoin() -> None:
    for store in _parted.pop(threading.get_ident(), []):
        store.rejoin()


def _renew() -> None:
    """In the child, without SQLite: who needs the file opens it."""
    parted = _parted.pop(threading.get_ident(), [])
    _parted.clear()
    for store in list(_living):
        store.renew(parted=any(store is one for one in parted))


_living: weakref.WeakSet[Pending] = weakref.WeakSet()
_parted: dict[int, list[Pending]] = {}
"""By the thread that forks."""
os.register_at_fork(before=_part, after_in_parent=_rejoin, after_in_child=_renew)
atexit.register(_close_all)
