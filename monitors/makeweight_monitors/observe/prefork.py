"""Servers of several processes, where one scrape reaches one of them: counters in files that each of them can add up.

A folder holds a file for each process, which writes to it through memory; the process that is scraped adds them up,
under one `boot` for the whole group. A process that has ended leaves its file: its counts are taken over into
`retired-N.cells` by the next one that is scraped, so that the sums stay exact and the folder small. Who lives is told
by a lock that the kernel holds for each process and lets go when it ends, however it ends.

    # gunicorn.conf.py
    from makeweight_monitors.observe import prefork
    prefork.fresh()                      # a folder for this start of the server, named in MAKEWEIGHT_SHARED
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import json
import logging
import mmap
import os
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from makeweight_base.errors import EnvironmentFailed, reason
from makeweight_monitors.observe.arena import SIZE, Arena

_log = logging.getLogger("makeweight_monitors")
VARIABLE = "MAKEWEIGHT_SHARED"
_DO = "Name a folder on a local disk (best in memory: /dev/shm, /run) that the server may write to."


class Folder:
    """The counters of a group of processes.

    Raises:
        EnvironmentFailed: the folder cannot be made or written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None
        self._opened: dict[Path, Arena] = {}
        try:
            path.mkdir(parents=True, exist_ok=True)
            with self._alone():
                birth = path / "boot.json"
                if not birth.exists():
                    made = path / "boot.part"
                    made.write_text(json.dumps({"boot": uuid.uuid4().hex[:12], "began": time.time()}))
                    made.replace(birth)
                birth_record = json.loads(birth.read_text())
            self.boot: str = birth_record["boot"]
            self.began: float = birth_record["began"]
        except (OSError, ValueError, KeyError) as error:
            raise EnvironmentFailed(f"cannot be used: {reason(error)}", where=str(path), do=_DO) from error

    def arena(self) -> Arena:
        """This process's own counters, at zero.

        Where the disk is full they are kept in memory instead, and said to be lost to the group: the model goes on.
        """
        if self._lock is not None:  # the parent's, after a fork
            os.close(self._lock)
            self._lock = None
        made = self.path / f"{os.getpid()}-{uuid.uuid4().hex[:8]}.part"
        try:
            arena = _made(made)
            # Locked before anybody sees it: else it could be taken for one whose process has ended. Opened once more
            # for it, since a mapping that a child inherits would keep its own file locked after us.
            self._lock = os.open(made, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            made.rename(made.with_suffix(".cells"))
        except OSError as error:
            with contextlib.suppress(OSError):
                made.unlink()
            _log.error("%s: %s; what process %s counts is NOT collected", self.path, error, os.getpid())
            return Arena.private()
        return arena

    @contextlib.contextmanager
    def reading(self) -> Iterator[list[Arena]]:
        """The counters of all processes, those that ended included, while nobody moves them."""
        with self._alone():
            self._sweep()
            ended = [path for path in self._living() if _has_ended(path)]
            if ended:
                with contextlib.suppress(OSError):  # a full disk: they are read where they lie
                    self._retire(ended)
            for gone in [path for path in self._opened if not path.exists()]:
                del self._opened[gone]
            yield [self._open(path) for path in (*self._retired(), *self._living())]

    def _retire(self, ended: list[Path]) -> None:
        """Take over the counts of processes that ended. Interrupted anywhere, nothing is lost or counted twice: what
        `_sweep` finds beside a newer file of retired counts is in it already.
        """
        before = self._retired()
        number = int(before[-1].stem.split("-")[1]) + 1 if before else 1
        made = self.path / f"retired-{number}.part"
        made.unlink(missing_ok=True)
        total = _made(made)
        fits = total.remark({"taken": [path.name for path in ended]})
        if not fits or not all(total.add(self._open(path)) for path in (*before, *ended)):
            made.unlink()
            return
        made.rename(made.with_suffix(".cells"))
        self._sweep()

    def _sweep(self) -> None:
        retired = self._retired()
        for path in retired[:-1]:
            path.unlink(missing_ok=True)
        for path in retired[-1:]:
            for name in [name for remark in self._open(path).remarks() for name in remark["taken"]]:
                (self.path / name).unlink(missing_ok=True)

    def _retired(self) -> list[Path]:
        return sorted(self.path.glob("retired-*.cells"), key=lambda path: int(path.stem.split("-")[1]))

    def _living(self) -> list[Path]:
        return sorted(path for path in self.path.glob("*.cells") if not path.name.startswith("retired-"))

    def _open(self, path: Path) -> Arena:
        if path not in self._opened:
            with path.open("rb+") as file:
                self._opened[path] = Arena(mmap.mmap(file.fileno(), SIZE))
        return self._opened[path]

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with (self.path / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def folder(path: Path | str) -> Folder:
    """The group whose counters lie in a folder; in one process always the same."""
    absolute = Path(path).absolute()
    with _opening:
        if absolute not in _open_folders:
            _open_folders[absolute] = Folder(absolute)
        return _open_folders[absolute]


def fresh(variable: str = VARIABLE, parent: Path | None = None) -> Path:
    """A folder for a server that starts now, named in the environment, where the processes it forks find it.

    Called again (a configuration that is read anew) it is the same. The process that made it removes it when it ends.

    Args:
        parent: where to make it; None: in memory, if the machine has /dev/shm.
    """
    if variable in os.environ:
        return Path(os.environ[variable])
    memory = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a folder that is ours alone
    made = Path(tempfile.mkdtemp(prefix="makeweight-", dir=parent or (memory if memory.is_dir() else None)))
    os.environ[variable] = str(made)
    maker = os.getpid()

    def remove() -> None:
        if os.getpid() == maker:
            shutil.rmtree(made, ignore_errors=True)

    atexit.register(remove)
    return made


def _made(path: Path) -> Arena:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
    try:
        # a file with holes would end the process (SIGBUS) once the disk is full
        os.posix_fallocate(handle, 0, SIZE)
        return Arena(mmap.mmap(handle, SIZE), blank=True)
    finally:
        os.close(handle)


def _has_ended(path: Path) -> bool:
    """Whether nobody holds the lock of a process's file any more."""
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


_opening = threading.Lock()
_open_folders: dict[Path, Folder] = {}
