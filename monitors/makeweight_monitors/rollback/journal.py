"""The journal: what is known and meant of each canary, on the disk before anything is done about it (SQLite).

Every write is one transaction that is on the disk when it returns (write-ahead log, `synchronous=FULL`;
sqlite.org/pragma.html). Lines of the audit log are part of it, and go to their own file afterwards: a process that is
killed in between finds them here when it begins again. So no decision is without its line, and no line is there twice.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from makeweight_base.errors import UsageError
from makeweight_monitors.rollback import audit
from makeweight_monitors.rollback.audit import Unwritable
from makeweight_monitors.rollback.case import Answered, Canary, Case, Deed

FORMAT = 1
# of two controllers that begin at once, the second finds all of it there
_SCHEMA = """
CREATE TABLE IF NOT EXISTS cases (
    environment TEXT, model TEXT, sha256 TEXT, attempt TEXT, content TEXT NOT NULL,
    PRIMARY KEY (environment, model, sha256, attempt)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS nonces (nonce TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lines (number INTEGER PRIMARY KEY, line TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Hold:
    """Somebody asked for no further step."""

    who: str
    reason: str
    time: float

    def __str__(self) -> str:
        return f"{self.who} ({self.reason})"


class Journal:
    """In a folder: `journal.sqlite`, and `audit.jsonl` beside it. May be used from any thread.

    Raises:
        Unwritable: the disk is full, or may not be written to.
        UsageError: it is another version's.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.sqlite"
        self.log = folder / "audit.jsonl"
        self._lock = threading.Lock()
        with self._telling():
            folder.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=FULL")
            (version,) = self._base.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._base.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={FORMAT}; COMMIT;")
            elif version != FORMAT:
                self._base.close()
                raise UsageError(
                    f"this journal has format {version}, and this version reads {FORMAT}",
                    where=str(self.path),
                    do="Run the version that wrote it, or begin with another folder.",
                )
        self.flush()

    def close(self) -> None:
        with self._lock:
            self._base.close()

    def cases(self) -> list[Case]:
        with self._telling(), self._lock:
            rows = self._base.execute("SELECT content FROM cases").fetchall()
        return sorted((_case(row[0]) for row in rows), key=lambda case: case.canary)

    def case(self, canary: Canary) -> Case | None:
        key = (canary.environment, canary.model, canary.sha256, canary.attempt)
        asked = "SELECT content FROM cases WHERE (environment, model, sha256, attempt) = (?, ?, ?, ?)"
        with self._telling(), self._lock:
            row = self._base.execute(asked, key).fetchone()
        return None if row is None else _case(row[0])

    def hold(self) -> Hold | None:
        content = self._fact("hold")
        return None if content is None else Hold(**content)

    def hold_changed(self) -> float:
        """When somebody last asked for a hold, or for its end; 0: nobody did."""
        return float(self._fact("hold_changed") or 0.0)

    def last_rollback(self) -> float | None:
        """When a rollback last took effect, by the target's word."""
        content = self._fact("last_rollback")
        return None if content is None else float(content)

    def nonces(self) -> list[tuple[str, float]]:
        """Of orders that were taken, with when each is too old to be taken again."""
        with self._telling(), self._lock:
            return self._base.execute("SELECT nonce, until FROM nonces ORDER BY nonce").fetchall()

    def head(self) -> audit.Head:
        """The last line of the audit log, as it ought to be."""
        with self._telling(), self._lock:
            return self._head()

    def note(
        self,
        line: Mapping[str, Any] | None = None,
        *,
        case: Case | None = None,
        nonce: tuple[str, float] | None = None,
        now: float = 0.0,
        **facts: Any,
    ) -> bool:
        """Write down, all at once: a line of the audit log, a case, a nonce with its end, facts (None: no more).

        Returns:
            False where the nonce was there already; then nothing of this is written.
        """
        with self._telling(), self._lock, self._transaction():
            if nonce is not None:
                self._base.execute("DELETE FROM nonces WHERE until < ?", (now,))
                taken = self._base.execute("INSERT OR IGNORE INTO nonces VALUES (?, ?)", nonce)
                if not taken.rowcount:
                    return False
            if case is not None:
                one = case.canary
                self._base.execute(
                    "INSERT OR REPLACE INTO cases VALUES (?, ?, ?, ?, ?)",
                    (one.environment, one.model, one.sha256, one.attempt, json.dumps(asdict(case))),
                )
            for name, content in facts.items():
                self._set(name, content)
            if line is not None:
                head, text = audit.line(self._head(), line)
                self._set("head", asdict(head))
                self._base.execute("INSERT INTO lines VALUES (?, ?)", (head.number, text))
        if line is not None:
            self.flush()
        return True

    def flush(self) -> None:
        """What is noted and not yet in the audit log, into it."""
        with self._telling(), self._lock, self._transaction():  # of two controllers, one at a time
            waiting = self._base.execute("SELECT number, line FROM lines ORDER BY number").fetchall()
            if not waiting:
                return
            audit.append(self.log, waiting)
            self._base.execute("DELETE FROM lines WHERE number <= ?", (waiting[-1][0],))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._base.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._base.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._base.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise Unwritable(
                f"the journal cannot be used: {error}",
                where=str(self.path),
                do="Free some space or mend the permissions; until then nothing is decided.",
            ) from error

    def _fact(self, name: str) -> Any:
        with self._telling(), self._lock:
            return self._read(name)

    def _read(self, name: str) -> Any:
        row = self._base.execute("SELECT content FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def _head(self) -> audit.Head:
        content = self._read("head")
        return audit.Head() if content is None else audit.Head(**content)

    def _set(self, name: str, content: Any) -> None:
        if content is None:
            self._base.execute("DELETE FROM facts WHERE name = ?", (name,))
        else:
            self._base.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(content)))


def _case(text: str) -> Case:
    content = json.loads(text)
    canary = Canary(**content.pop("canary"))
    deed = content.pop("deed")
    if deed is not None:
        answered = deed.pop("answered")
        deed = Deed(**deed, answered=None if answered is None else Answered(**answered))
    return Case(canary, deed=deed, **content)
