"""One measurement at a time on a machine that several measure on, by whatever account and from whatever computer."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from makeweight_probe import ProbeFailed

LOCK = "MAKEWEIGHT_LOCK"
"""The variable that names what is locked meanwhile in place of `MACHINE`: a file or a folder. Empty: nobody waits for
anybody."""
MACHINE = Path("/sys/devices/system/cpu")
"""A folder of the kernel's that every account may open, and so lock (flock(2)), and none may put a link or anything
else in the place of. A container that has a /sys of its own sees another one."""
FOUND_BY_ALL = Path("/tmp")  # noqa: S108 - what lies there is opened as `locked` says
"""Where all accounts find the same file, whatever TMPDIR each has."""
OTHERWISE = FOUND_BY_ALL / "makeweight.lock"
"""What is locked on a system that has no such folder, as macOS."""
_LOOK = 0.25
"""Seconds between looks at a lock that is waited for only so long."""
_MODE = 0o644
"""Of a file that is locked: others have to open it to lock it, and nobody writes to it."""
_UNLIKE = frozenset((errno.EISDIR, errno.EACCES, errno.EROFS, errno.EPERM))
"""What the system says of a file that may be opened to be read alone."""


class StillHeld(Exception):
    """Another has held the lock for as long as it was waited for."""


def place() -> Path | None:
    """What is locked while something is measured here; None: nothing."""
    named = os.environ.get(LOCK)
    if named is not None:
        return Path(named) if named else None
    return MACHINE if MACHINE.is_dir() else OTHERWISE


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait until no other measurement runs on this machine. Where its lock cannot be had, that is said, and nobody is
    waited for.

    Raises:
        ProbeFailed: what `LOCK` names cannot be opened.
    """
    path = place()

    def waited() -> None:
        sys.stderr.write("another measurement ran on this machine: waited for its end\n")

    with contextlib.ExitStack() as stack:
        if path is not None:
            try:
                stack.enter_context(locked(path, waited))
            except OSError as error:
                # a search names to its workers what is locked where nobody has named anything
                if path not in (MACHINE, OTHERWISE) and error.errno == errno.ENOENT:
                    raise ProbeFailed(f"{LOCK} names {path}, in a folder that is not there") from error
                sys.stderr.write(f"{unheld(path, error)}\n")
        yield


def unheld(path: Path, error: OSError) -> str:
    """What is said where a lock cannot be had."""
    return f"nothing keeps other measurements from running meanwhile: {path} cannot be locked ({error.strerror})"


@contextlib.contextmanager
def locked(path: Path, waited: Callable[[], object], patience: float = math.inf) -> Iterator[None]:
    """Hold the lock of a file or folder, which the system takes from a holder that ends. A file is made where there is
    none, and its holder may remove it.

    In a folder that others may write to they can put what they like in its place: no link is followed, nothing is
    written, and nothing but a file or a folder is taken.

    Args:
        waited: called where another had to end first.
        patience: seconds to wait for that.

    Raises:
        StillHeld: it did not end in time.
        OSError: the lock cannot be had, as of a link, or of what another account keeps for itself.
    """
    late = False
    while True:
        handle = _opened(path)
        try:
            late = _taken(handle, patience) or late
            if not _lies_at(path, handle):
                continue  # it was removed meanwhile: others lock the one that came after it
            if late:
                waited()
            yield
            return
        finally:
            os.close(handle)


def _opened(path: Path) -> int:
    """A handle of it, one that may write where that can be had: over NFS no other can be locked."""
    how = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    while True:
        try:
            handle = os.open(path, os.O_RDWR | how)
        except FileNotFoundError:
            try:
                handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | how, _MODE)
            except FileExistsError:
                continue  # another was sooner, or has put a link there, which the next look tells
            with contextlib.suppress(OSError):
                os.fchmod(handle, _MODE)  # whatever the umask is
        except OSError as error:
            if error.errno not in _UNLIKE:
                raise
            handle = os.open(path, os.O_RDONLY | how)
        mode = os.fstat(handle).st_mode
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            return handle
        os.close(handle)
        raise OSError(errno.EINVAL, "it is no file", str(path))


def _taken(handle: int, patience: float) -> bool:
    """Whether another had to end first.

    Raises:
        StillHeld: it did not end in time.
    """
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    else:
        return False
    if patience == math.inf:
        fcntl.flock(handle, fcntl.LOCK_EX)
        return True
    until = time.monotonic() + patience
    while time.monotonic() < until:
        time.sleep(_LOOK)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    raise StillHeld


def _lies_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(handle))
    except FileNotFoundError:
        return False
