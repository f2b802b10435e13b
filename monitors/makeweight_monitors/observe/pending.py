"""Predictions that wait for their label: bounded, for a limited time, in SQLite, so that a restart forgets none.

A prediction is put aside in memory, which costs the request next to nothing; a thread writes what was put aside every
second. What a killed process had not written yet is lost, and its labels are `unknown` later. Processes of one model
may share a file; each label is matched once.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import numbers
import os
import sqlite3
import threading
import time
import uuid
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from makeweight_base.errors import UsageError

LabelResult = Literal["matched", "unknown", "duplicate", "late", "rejected"]

DAY = 86_400.0
MOST = 1_000_000
EVERY = 1.0
"""Seconds between two writes."""
MOST_FRESH = 50_000
"""Predictions that are held in memory while the disk does not take them."""
_CHUNK = 5_000
_BACKWARDS = 1000
"""Milliseconds by which a clock may fall back before that is an event: time servers nudge it."""

_WAITING, _MATCHED, _EXPIRED = 0, 1, 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS owner (
  number INTEGER PRIMARY KEY, revision TEXT, variant TEXT, weight TEXT, waiting INTEGER DEFAULT 0,
  UNIQUE (revision, variant, weight)
);
CREATE TABLE IF NOT EXISTS prediction (
  id TEXT PRIMARY KEY, at INTEGER, state INTEGER, owner INTEGER, answer TEXT, slice TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_state ON prediction (state, at);
INSERT OR IGNORE INTO about VALUES ('format', 1), ('settled', 0);
"""


PAIR = "pair"
LONGEST_ID = 200
"""Characters."""


@dataclass(frozen=True)
class Owner:
    """Whose prediction it is; kept with it, since a restart may change revision or weight."""

    revision: str
    variant: str
    """`stable`, `canary`, or `PAIR` for both."""
    weight: str = ""
    """The canary's share of split traffic, where there is one."""


@dataclass(frozen=True)
class Taken:
    """What became of a label."""

    result: LabelResult
    owner: Owner | None = None
    answer: str = ""
    slice: str = ""


class Listener(Protocol):
    """Who counts what happens to predictions later than they were put aside."""

    @property
    def variant(self) -> str: ...

    def expired(self, owner: Owner, count: int) -> None: ...

    def refused(self, owner: Owner | None, reason: str, count: int, what: str) -> None: ...

    def store_failed(self, what: str) -> None: ...


_Row = tuple[int, int, Owner, str, str]
"""at (milliseconds), state, owner, answer, slice"""


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
        self._model: str | None = None
        self._listeners: list[weakref.ref[Listener]] = []
        self._settle()
        # in memory nothing can fail that would be mended later
        self._connect() if self.path is None else self._try_to_connect()
        _living.add(self)

    def _settle(self) -> None:
        self._lock = threading.Lock()
        """For what is in memory; held for moments only."""
        self._storing = threading.RLock()
        """For the file."""
        self._fresh: dict[str, _Row] = {}
        self._connection: sqlite3.Connection | None = None
        self._numbers: dict[Owner, int] = {}
        self._owners: dict[int, Owner] = {}
        self._held = 0
        self._latest = 0
        self._fell_back = False
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False

    def renew(self) -> None:
        """Begin anew in a child process: what the parent put aside the parent will write."""
        forsaken = self._connection
        self._settle()
        if forsaken is not None:
            # SQLite forbids to use, and even to close, a connection that was opened before a fork
            _forsaken.append(forsaken)
        self._connect() if self.path is None else self._try_to_connect()

    def attach(self, model: str, listener: Listener) -> None:
        """Say who counts.

        Raises:
            UsageError: the store holds another model's predictions; their ids may be the same.
        """
        with self._storing:
            if self._model not in (None, model):
                raise self._other(str(self._model), model)
            self._model = model
            self._listeners.append(weakref.ref(listener))
            if self._connection is not None:
                self._check_model(self._connection)

    def put(self, id: str, owner: Owner, answer: str, slice: str = "") -> str | None:
        """Put a prediction aside.

        Returns:
            Why it is refused, one of metrics.REJECTIONS; None where it is not.
        """
        at = self._now()
        with self._lock:
            if id in self._fresh:
                return "duplicate_id"
            if self._held + len(self._fresh) >= self.most:
                return "too_many_ids"
            if len(self._fresh) >= MOST_FRESH:
                return "store_failed"
            self._fresh[id] = (at, _WAITING, owner, answer, slice)
            crowded = len(self._fresh) % _CHUNK == 0
        if self._thread is None and self._every:
            self._start()
        if crowded:
            self._wake.set()
        return None

    @property
    def fresh(self) -> int:
        """How many are in memory and not written yet."""
        return len(self._fresh)

    def take(self, ids: Sequence[str]) -> list[Taken]:
        """Match labels with their predictions, each once.

        Never raises for a file that fails: a label that could not be looked up is `rejected`.
        """
        now = self._now()
        with self._storing:
            try:
                with self._transaction() as connection:
                    found = [self._take_stored(connection, id, now) for id in ids]
            except (sqlite3.Error, UsageError) as error:
                self._failed(error)
                # what waits in memory can still be matched; what may be in the file cannot be known
                return [self._take_fresh(id, now) or Taken("rejected") for id in ids]
            return [
                taken or self._take_fresh(id, now) or Taken("unknown") for id, taken in zip(ids, found, strict=True)
            ]

    def waiting(self) -> dict[Owner, int]:
        """How many predictions wait, by whose they are."""
        with self._lock:
            count = Counter(row[2] for row in self._fresh.values() if row[1] == _WAITING)
        with self._storing, contextlib.suppress(sqlite3.Error):
            if self._connection is not None:
                rows = self._connection.execute("SELECT revision, variant, weight, waiting FROM owner")
                for revision, variant, weight, waiting in rows:
                    count[Owner(revision, variant, weight)] += waiting
        return dict(count)

    def tend(self) -> None:
        """Write what was put aside, let time-outs pass, forget what is long settled. The store's thread calls this."""
        now = self._now()
        with self._storing:
            with self._lock:
                batch = dict(self._fresh)
            try:
                refused = self._write(batch)
            except (sqlite3.Error, UsageError) as error:
                self._failed(error)
                return
            with self._lock:
                for id, row in batch.items():
                    # one that was matched meanwhile cannot be: that needs `_storing`
                    if self._fresh.get(id) is row:
                        del self._fresh[id]
            for owner, count in refused.items():
                for ear in self._ears(owner):
                    ear.refused(owner, "duplicate_id", count, "an id came again")
            try:
                if self._fell_back:
                    with self._transaction() as connection:
                        connection.execute("UPDATE prediction SET at = ? WHERE at > ?", (now, now))
                    self._fell_back = False
                self._expire(now)
                self._forget(now)
                self._count()
            except (sqlite3.Error, UsageError) as error:
                self._failed(error)

    def close(self) -> None:
        """Write what was put aside, and let go of the file."""
        if self._closed:
            return
        self._closed = True
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(10)
        self.tend()
        with self._storing:
            if self._connection is not None and self.path is not None:
                self._connection.close()
                self._connection = None

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

    def _write(self, batch: dict[str, _Row]) -> Counter[Owner]:
        """Returns how many were refused because their id is known, by whose they are."""
        refused: Counter[Owner] = Counter()
        groups: dict[tuple[Owner, int], list[tuple[str, int, str, str]]] = {}
        for id, (at, state, owner, answer, slice) in batch.items():
            groups.setdefault((owner, state), []).append((id, at, answer, slice))
        if not groups:
            return refused
        with self._transaction() as connection:
            for (owner, state), rows in groups.items():
                number = self._number(connection, owner)
                done = connection.executemany(
                    f"INSERT OR IGNORE INTO prediction VALUES (?, ?, {state}, {number}, ?, ?)",  # noqa: S608 - integers
                    rows,
                ).rowcount
                if done < len(rows):
                    refused[owner] += len(rows) - done
                if state == _WAITING:
                    connection.execute("UPDATE owner SET waiting = waiting + ? WHERE number = ?", (done, number))
                else:
                    _settled(connection, done)
        return refused

    def _take_stored(self, connection: sqlite3.Connection, id: str, now: int) -> Taken | None:
        row = connection.execute(
            "SELECT at, state, owner, answer, slice FROM prediction WHERE id = ?", (id,)
        ).fetchone()
        if row is None:
            return None
        at, state, number, answer, slice = row
        owner = self._owner(connection, number)
        if state == _MATCHED:
            return Taken("duplicate", owner)
        if state == _EXPIRED or self._is_late(at, now):
            return Taken("late", owner)  # if it still counts as waiting, `tend` will let it expire
        connection.execute("UPDATE prediction SET state = ? WHERE id = ?", (_MATCHED, id))
        connection.execute("UPDATE owner SET waiting = waiting - 1 WHERE number = ?", (number,))
        _settled(connection, 1)
        return Taken("matched", owner, answer, slice)

    def _take_fresh(self, id: str, now: int) -> Taken | None:
        with self._lock:
            row = self._fresh.get(id)
            if row is None:
                return None
            at, state, owner, answer, slice = row
            if state == _MATCHED:
                return Taken("duplicate", owner)
            if self._is_late(at, now):
                return Taken("late", owner)
            self._fresh[id] = (at, _MATCHED, owner, answer, slice)
            return Taken("matched", owner, answer, slice)

    def _is_late(self, at: int, now: int) -> bool:
        return at < now - self.timeout * 1000

    def _expire(self, now: int) -> None:
        while True:
            with self._transaction() as connection:
                rows = connection.execute(
                    "SELECT id, owner FROM prediction WHERE state = ? AND at < ? LIMIT ?",
                    (_WAITING, now - self.timeout * 1000, _CHUNK),
                ).fetchall()
                connection.executemany(
                    f"UPDATE prediction SET state = {_EXPIRED} WHERE id = ?",  # noqa: S608 - an integer
                    [(id,) for id, _ in rows],
                )
                gone = Counter(number for _, number in rows)
                for number, count in gone.items():
                    connection.execute("UPDATE owner SET waiting = waiting - ? WHERE number = ?", (count, number))
                _settled(connection, len(rows))
                owners = {number: self._owner(connection, number) for number in gone}
            for number, count in gone.items():
                for ear in self._ears(owners[number]):
                    ear.expired(owners[number], count)
            if len(rows) < _CHUNK:
                return

    def _forget(self, now: int) -> None:
        """Settled ones are kept for one more time-out, so that a late or a repeated label is told from an unknown one;
        never more of them than may wait.
        """
        for state in (_MATCHED, _EXPIRED):
            self._delete(state, now - 2 * self.timeout * 1000)
        connection = self._connected()
        (settled,) = connection.execute("SELECT value FROM about WHERE key = 'settled'").fetchone()
        for state in (_EXPIRED, _MATCHED):
            if settled > self.most:
                settled -= self._delete(state, math.inf, settled - self.most)

    def _delete(self, state: int, before: float, most: int | None = None) -> int:
        total = 0
        while most is None or total < most:
            chunk = _CHUNK if most is None else min(_CHUNK, most - total)
            with self._transaction() as connection:
                done = connection.execute(
                    "DELETE FROM prediction WHERE id IN (SELECT id FROM prediction "
                    "WHERE state = ? AND at < ? ORDER BY at LIMIT ?)",
                    (state, before, chunk),
                ).rowcount
                _settled(connection, -done)
            total += done
            if done < chunk:
                break
        return total

    def _count(self) -> None:
        (waiting,) = self._connected().execute("SELECT total(waiting) FROM owner").fetchone()
        self._held = int(waiting)

    def _number(self, connection: sqlite3.Connection, owner: Owner) -> int:
        if owner not in self._numbers:
            key = (owner.revision, owner.variant, owner.weight)
            connection.execute("INSERT OR IGNORE INTO owner (revision, variant, weight) VALUES (?, ?, ?)", key)
            (number,) = connection.execute(
                "SELECT number FROM owner WHERE revision = ? AND variant = ? AND weight = ?", key
            ).fetchone()
            self._numbers[owner] = number
        return self._numbers[owner]

    def _owner(self, connection: sqlite3.Connection, number: int) -> Owner:
        if number not in self._owners:
            row = connection.execute(
                "SELECT revision, variant, weight FROM owner WHERE number = ?", (number,)
            ).fetchone()
            self._owners[number] = Owner(*row)
        return self._owners[number]

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connected()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            # numbers that were given out in it may not be there any more
            self._numbers.clear()
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def _connected(self) -> sqlite3.Connection:
        return self._connection or self._connect()

    def _try_to_connect(self) -> None:
        try:
            self._connect()
            self._count()
        except sqlite3.OperationalError:
            pass  # told by the first `tend`, when there is somebody to tell
        except sqlite3.DatabaseError as error:
            raise UsageError(
                f"this is no label store: {error}",
                where=str(self.path),
                do="Name a file of its own; it is made where there is none.",
            ) from error

    def _connect(self) -> sqlite3.Connection:
        name = ":memory:" if self.path is None else os.fspath(self.path)
        connection = sqlite3.connect(name, timeout=5, isolation_level=None, check_same_thread=False)
        try:
            if self.path is not None:
                connection.execute("PRAGMA journal_mode = WAL")
                # a crash of the machine may lose the last second, and never damages the file
                connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;")
            self._check_model(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _check_model(self, connection: sqlite3.Connection) -> None:
        if self._model is None:
            return
        connection.execute("INSERT OR IGNORE INTO about VALUES ('model', ?)", (self._model,))
        (stored,) = connection.execute("SELECT value FROM about WHERE key = 'model'").fetchone()
        if stored != self._model:
            raise self._other(stored, self._model)

    def _other(self, stored: str, wanted: str) -> UsageError:
        return UsageError(
            f"it holds the predictions of `{stored}`, not of `{wanted}`",
            where=str(self.path or "the label store in memory"),
            do="Give each model a store of its own.",
        )

    def _failed(self, error: Exception) -> None:
        if self._connection is not None and self.path is not None:
            # opened anew next time: the disk may have been exchanged, or the file
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
            self._numbers.clear()
            self._owners.clear()
        for ear in self._ears():
            ear.store_failed(f"the label store {self.path or 'in memory'} failed: {error}")

    def _ears(self, owner: Owner | None = None) -> list[Listener]:
        """The one listener to tell: that of the owner's variant, if there is one."""
        ears = [ear for ear in (reference() for reference in self._listeners) if ear is not None]
        fitting = [ear for ear in ears if owner is not None and ear.variant == owner.variant]
        return (fitting or ears)[:1]

    def _start(self) -> None:
        with self._storing:
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


def _settled(connection: sqlite3.Connection, more: int) -> None:
    if more:
        connection.execute("UPDATE about SET value = value + ? WHERE key = 'settled'", (more,))


def _tend(store: weakref.ref[Pending], wake: threading.Event, every: float) -> None:
    while True:
        wake.wait(every)
        wake.clear()
        known = store()
        if known is None or known._closed:
            return
        known.tend()
        del known


def _each(action: Callable[[Pending], None], stores: Iterable[Pending]) -> None:
    for store in list(stores):
        action(store)


_living: weakref.WeakSet[Pending] = weakref.WeakSet()
_forsaken: list[sqlite3.Connection] = []
os.register_at_fork(after_in_child=lambda: _each(Pending.renew, _living))
atexit.register(lambda: _each(Pending.close, _living))
