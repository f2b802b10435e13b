"""Predictions that wait for their label, in SQLite: each is matched once, or expires, and is remembered for a while.

Every method raises sqlite3.Error where the file fails, Locked where another process keeps it for longer than moments,
and UsageError where it is no label store, or another model's.
"""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Literal

from makeweight_base.errors import UsageError

LabelResult = Literal["matched", "unknown", "duplicate", "late", "rejected", "deferred"]
PAIR = "pair"
PATIENCE = 0.1
"""Seconds for which a locked file is waited for: another process's write takes less."""
_CHUNK = 5_000
WAITING, MATCHED, _EXPIRED = 0, 1, 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS owner (
  number INTEGER PRIMARY KEY, revision TEXT, variant TEXT, weight TEXT, environment TEXT, attempt TEXT, sha256 TEXT,
  waiting INTEGER DEFAULT 0,
  UNIQUE (revision, variant, weight, environment, attempt, sha256)
);
CREATE TABLE IF NOT EXISTS prediction (
  id TEXT PRIMARY KEY, at INTEGER, state INTEGER, owner INTEGER, answer TEXT, slice TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_state ON prediction (state, at);
INSERT OR IGNORE INTO about VALUES ('format', 2), ('settled', 0);
"""
_KEEP_OWNER = (
    "INSERT OR IGNORE INTO owner (revision, variant, weight, environment, attempt, sha256) VALUES (?, ?, ?, ?, ?, ?)"
)
_FIND_OWNER = (
    "SELECT number FROM owner WHERE (revision, variant, weight, environment, attempt, sha256) = (?, ?, ?, ?, ?, ?)"
)
_OWNER = "SELECT revision, variant, weight, environment, attempt, sha256 FROM owner WHERE number = ?"
_WAITING = "SELECT waiting, revision, variant, weight, environment, attempt, sha256 FROM owner"


class Locked(Exception):
    """Somebody else is writing; nothing was read or written."""


@dataclass(frozen=True)
class Owner:
    """Whose prediction it is; kept with it, since a restart may change any of that. Empty: nobody told."""

    revision: str
    variant: str
    """`stable`, `canary`, or `PAIR` for both."""
    weight: str = ""
    """The canary's share of split traffic, where there is one."""
    environment: str = ""
    attempt: str = ""
    """Of the same revision."""
    sha256: str = ""
    """Of the model's file; of pairs, the canary's."""

    @property
    def release(self) -> tuple[str, str, str]:
        """What both arms of one rollout have in common."""
        return self.environment, self.revision, self.attempt

    def labels(self, model: str) -> dict[str, str]:
        """As series bear it, `weight` and `boot` apart."""
        told = {"environment": self.environment, "model": model, "revision": self.revision, "attempt": self.attempt}
        return told | ({} if self.variant == PAIR else {"variant": self.variant}) | {"sha256": self.sha256}


@dataclass(frozen=True)
class Taken:
    """What became of a label."""

    result: LabelResult
    owner: Owner | None = None
    answer: str = ""
    slice: str = ""


Row = tuple[int, int, Owner, str, str]
"""at (milliseconds), state, owner, answer, slice"""


class LabelFile:
    """The predictions of one model; to be used by one thread at a time, and of one process.

    Args:
        path: None: in memory.
        timeout: seconds that a prediction waits.
        most: how many settled ones are remembered.
    """

    def __init__(self, path: Path | None, timeout: float, most: int) -> None:
        self.path = path
        self._timeout = timeout
        self._most = most
        self._model: str | None = None
        self._connection: sqlite3.Connection | None = None
        self._numbers: dict[Owner, int] = {}
        self._owners: dict[int, Owner] = {}
        self._stranded = False

    def claim(self, model: str) -> None:
        """Say whose predictions these are."""
        if self._model not in (None, model):
            raise self._other(str(self._model), model)
        self._model = model
        if self._connection is not None:
            with _whole():
                self._check_model(self._connection)

    def write(self, batch: Mapping[str, Row]) -> Counter[Owner]:
        """Put predictions aside; how many are refused because their id is known, by whose they are."""
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
                if state == WAITING:
                    connection.execute("UPDATE owner SET waiting = waiting + ? WHERE number = ?", (done, number))
                else:
                    _settled(connection, done)
        return refused

    def take(self, ids: Sequence[str], now: int) -> list[Taken | None]:
        """Match labels with their predictions; None for one that is not here."""
        with self._transaction() as connection:
            return [self._take(connection, id, now) for id in ids]

    def _take(self, connection: sqlite3.Connection, id: str, now: int) -> Taken | None:
        row = connection.execute(
            "SELECT at, state, owner, answer, slice FROM prediction WHERE id = ?", (id,)
        ).fetchone()
        if row is None:
            return None
        at, state, number, answer, slice = row
        result = result_of(at, state, now, self._timeout)  # one that is late and still counts as waiting will expire
        if result == "matched":
            connection.execute("UPDATE prediction SET state = ? WHERE id = ?", (MATCHED, id))
            connection.execute("UPDATE owner SET waiting = waiting - 1 WHERE number = ?", (number,))
            _settled(connection, 1)
        return Taken(result, self._owner(connection, number), answer, slice)

    def waiting(self) -> Counter[Owner]:
        """How many predictions wait, by whose they are."""
        with _whole():
            rows = self._connected().execute(_WAITING).fetchall()
        return Counter({Owner(*owner): count for count, *owner in rows})

    def date_back(self, now: int) -> None:
        """What was put aside in a time that is no more would wait too long."""
        with self._transaction() as connection:
            connection.execute("UPDATE prediction SET at = ? WHERE at > ?", (now, now))

    def expire(self, now: int) -> Iterator[Counter[Owner]]:
        """Let those expire that have waited too long: how many, by whose they are, a chunk after the other."""
        while True:
            with self._transaction() as connection:
                rows = connection.execute(
                    "SELECT id, owner FROM prediction WHERE state = ? AND at < ? LIMIT ?",
                    (WAITING, now - self._timeout * 1000, _CHUNK),
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
            yield Counter({owners[number]: count for number, count in gone.items()})
            if len(rows) < _CHUNK:
                return

    def forget(self, now: int) -> Iterator[int]:
        """Settled ones are kept for one more time-out, so that a late or a repeated label is told from an unknown one;
        never more of them than may wait. How many were forgotten, a chunk after the other.
        """
        for state in (MATCHED, _EXPIRED):
            yield from self._delete(state, now - 2 * self._timeout * 1000)
        with _whole():
            (settled,) = self._connected().execute("SELECT value FROM about WHERE key = 'settled'").fetchone()
        for state in (_EXPIRED, MATCHED):
            for done in self._delete(state, math.inf, settled - self._most):
                settled -= done
                yield done

    def _delete(self, state: int, before: float, most: float = math.inf) -> Iterator[int]:
        while most > 0:
            chunk = int(min(_CHUNK, most))
            with self._transaction() as connection:
                done = connection.execute(
                    "DELETE FROM prediction WHERE id IN (SELECT id FROM prediction "
                    "WHERE state = ? AND at < ? ORDER BY at LIMIT ?)",
                    (state, before, chunk),
                ).rowcount
                _settled(connection, -done)
            most -= done
            yield done
            if done < chunk:
                return

    def close(self) -> None:
        """Let go of the file; it is opened anew when it is needed: the disk, or the file, may be another by then."""
        if self._connection is not None and self.path is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._let_go()

    def forsake(self, *, stranded: bool) -> None:
        """In a child process: SQLite forbids to use, and even to close, a connection that was opened before a fork.

        Args:
            stranded: a thread of the parent was within SQLite then. Its locks stay held in the child for ever, so
                that it may never use it.
        """
        if self._connection is not None:
            _forsaken.append(self._connection)
        self._let_go()
        self._stranded = stranded

    def _let_go(self) -> None:
        self._connection = None
        self._numbers.clear()
        self._owners.clear()

    def _number(self, connection: sqlite3.Connection, owner: Owner) -> int:
        if owner not in self._numbers:
            key = astuple(owner)
            connection.execute(_KEEP_OWNER, key)
            (number,) = connection.execute(_FIND_OWNER, key).fetchone()
            self._numbers[owner] = number
        return self._numbers[owner]

    def _owner(self, connection: sqlite3.Connection, number: int) -> Owner:
        if number not in self._owners:
            row = connection.execute(_OWNER, (number,)).fetchone()
            self._owners[number] = Owner(*row)
        return self._owners[number]

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with _whole():
            connection = self._connected()
            connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            with _whole():
                connection.execute("COMMIT")
        except BaseException:
            # numbers that were given out in it may not be there any more
            self._numbers.clear()
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def _connected(self) -> sqlite3.Connection:
        return self._connection or self._connect()

    def _connect(self) -> sqlite3.Connection:
        if self._stranded:
            raise sqlite3.OperationalError("this process was forked while its parent used the label store")
        name = ":memory:" if self.path is None else os.fspath(self.path)
        connection = sqlite3.connect(name, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
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
        (written,) = connection.execute("SELECT value FROM about WHERE key = 'format'").fetchone()
        if written != 2:
            raise UsageError(
                f"it is of format {written}, and this version writes 2",
                where=str(self.path),
                do="Name another file; labels for what waits in this one are lost.",
            )
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


def result_of(at: int, state: int, now: int, timeout: float) -> LabelResult:
    """What a label is to a prediction that was put aside at `at`; times in milliseconds, the time-out in seconds."""
    if state == MATCHED:
        return "duplicate"
    return "late" if state == _EXPIRED or at < now - timeout * 1000 else "matched"


@contextlib.contextmanager
def _whole() -> Iterator[None]:
    """Tell a file that is locked from one that fails."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise Locked from error
        raise


def _settled(connection: sqlite3.Connection, more: int) -> None:
    if more:
        connection.execute("UPDATE about SET value = value + ? WHERE key = 'settled'", (more,))


_forsaken: list[sqlite3.Connection] = []
