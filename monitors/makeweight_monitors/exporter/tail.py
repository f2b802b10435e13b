"""A log of events, followed as it grows: through rotation, restarts, and lines that are only half there.

How far it was read is remembered in a file beside it, written before a piece is counted: a piece whose counting was cut
short by a crash is lost, as are the counts since the last scrape, and none is ever counted twice. An orderly end loses
nothing.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from makeweight_base.errors import EnvironmentFailed, UsageError, reason
from makeweight_monitors.complaints import Complaints
from makeweight_monitors.exporter.events import LONGEST_LINE

EVERY = 0.25
"""Seconds between two looks at a log that does not grow."""
QUIET = 5.0
"""Seconds for which a log that was moved away has to be quiet: until it is told, its writer goes on writing there."""
_HEAD = 256
_SUFFIX = ".makeweight-offset"


@dataclass
class Place:
    """How far a file was read, and which file it is: names change, and numbers are given out again."""

    inode: int
    offset: int
    head: str
    """Hash of its first bytes, 256 or as many as were read."""

    def is_of(self, file: BinaryIO) -> bool:
        """Whether this is the file, or a copy of it."""
        return os.fstat(file.fileno()).st_size >= self.offset and _head(file, self.offset) == self.head


class Tail:
    """Follows a log in a thread of its own.

    Args:
        count: called with whole lines; returns when they are counted.
        offset: where the place is remembered; None: beside the log.

    Raises:
        UsageError: the log is a folder, or its place cannot be read.
        EnvironmentFailed: its place cannot be written.
    """

    def __init__(
        self, path: Path, count: Callable[[bytes], object], offset: Path | None = None, *, quiet: float = QUIET
    ) -> None:
        self.path = path
        self._state = offset or path.with_name(path.name + _SUFFIX)
        self._count = count
        self._quiet = quiet
        self._complaints = Complaints(f"log {path}")
        self._file: BinaryIO | None = None
        self._place: Place | None = None
        self._skipping = False
        self._moved: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="makeweight-tail", daemon=True)
        if path.exists() and not path.is_file():
            raise UsageError("this is a folder or a pipe, and no log", where=str(path))
        try:
            self._state.parent.mkdir(parents=True, exist_ok=True)
            self._place = self._remembered()
            self._write()
        except OSError as error:
            raise EnvironmentFailed(
                f"how far the log is read cannot be written: {error.strerror}",
                where=str(self._state),
                do="Name a place that may be written with `--tail-offset FILE`.",
            ) from error

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End after the piece that is being counted."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self._file is not None:
            self._file.close()

    def lag(self) -> float:
        """Bytes that are not counted yet."""
        try:
            return max(0, self.path.stat().st_size - (self._place.offset if self._place else 0))
        except OSError:
            return 0

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                grew = self.step()
            except Exception as error:  # noqa: BLE001 - whatever it is, what comes after it is to be counted
                self._complaints.say("unreadable", f"cannot be followed for now: {reason(error)}")
                grew = False
            if not grew:
                self._stop.wait(EVERY)

    def step(self) -> bool:
        """Count the next piece; False where there is none for now."""
        if self._file is None and not self._open():
            return False
        file, place = self._file, self._place
        if file is None or place is None:
            return False
        if not place.is_of(file):  # emptied (copytruncate): what was not read of it stands in the copy
            file.close()
            self._file = None
            return True
        file.seek(place.offset)
        piece = file.read(LONGEST_LINE)
        end = piece.rfind(b"\n") + 1
        if end:
            self._moved = None
            self._take(piece[:end])
            return True
        if len(piece) == LONGEST_LINE:
            self._skip(piece)
            return True
        return self._replaced(file, piece)

    def _take(self, lines: bytes) -> None:
        if self._skipping:
            self._skipping = False
            rest = lines[lines.index(b"\n") + 1 :]
            self._advance(len(lines))
            if rest:
                self._count(rest)
            return
        self._advance(len(lines))
        self._count(lines)

    def _skip(self, piece: bytes) -> None:
        """A line that is longer than any event: passed over, and counted as refused once."""
        self._advance(len(piece))
        if not self._skipping:
            self._skipping = True
            self._count(piece + b"x")  # beyond the longest

    def _replaced(self, file: BinaryIO, rest: bytes) -> bool:
        """At the end: whether another log stands in its place, and this one has come to rest."""
        try:
            same = self.path.stat().st_ino == os.fstat(file.fileno()).st_ino
        except FileNotFoundError:
            same = True  # moved away, and no other there yet
        if same:
            return False
        now = time.monotonic()
        self._moved = now if self._moved is None else self._moved
        if now - self._moved < self._quiet:
            return False
        if rest and not self._skipping:  # nobody will end this line
            self._advance(len(rest))
            self._count(rest)
        self._leave()
        return True

    def _leave(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._place = self._moved = None
        self._skipping = False

    def _open(self) -> bool:
        """Open the file that the place is in, whatever it is called by now; else the log, at its beginning."""
        place = self._place
        if place is not None:
            self._file = self._find(place)
            if self._file is not None:
                place.inode = _inode(self._file)
                return True
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return False
        if place is not None:
            self._complaints.say("lost", "was replaced, and where the rest of it went cannot be found: it is lost")
        self._file = file
        self._place = Place(_inode(file), 0, _head(file, 0))
        return True

    def _find(self, place: Place) -> BinaryIO | None:
        """Among the files that are called like the log: that of the same inode if it is it, else the newest that is."""
        candidates = []
        for one in self.path.parent.glob(f"{glob.escape(self.path.name)}*"):
            with contextlib.suppress(OSError):
                status = one.stat()
                if one != self._state and one.is_file():
                    candidates.append((status.st_ino == place.inode, status.st_mtime, one))
        for _, _, one in sorted(candidates, reverse=True):
            with contextlib.suppress(OSError):
                file = one.open("rb")
                if place.is_of(file):
                    return file
                file.close()
        return None

    def _advance(self, size: int) -> None:
        if self._place is None or self._file is None:
            return
        self._place.offset += size
        self._place.head = _head(self._file, self._place.offset)
        try:
            self._write()
        except OSError as error:  # a full disk is no reason to see nothing
            self._complaints.say("forgetful", f"how far it was read cannot be kept, for a restart: {reason(error)}")

    def _write(self) -> None:
        content = {} if self._place is None else asdict(self._place)
        made = self._state.with_name(self._state.name + ".part")
        made.write_text(json.dumps(content))
        made.replace(self._state)

    def _remembered(self) -> Place | None:
        try:
            content = json.loads(self._state.read_text())
            return Place(int(content["inode"]), int(content["offset"]), str(content["head"])) if content else None
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"this tells no place in a log: {error}",
                where=str(self._state),
                do="Remove it to count the whole log from its beginning.",
            ) from error


def _inode(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_ino


def _head(file: BinaryIO, read: int) -> str:
    return hashlib.sha256(os.pread(file.fileno(), min(_HEAD, read), 0)).hexdigest()[:16]
