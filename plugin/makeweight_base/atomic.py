"""Writes that happen whole or not at all: no half file is ever left under its final name."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from makeweight_base.errors import EnvironmentFailed, reason

# What a block that writes may run into although it did nothing wrong; any other error of its keeps its own meaning.
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG})
_IN_THE_WAY = frozenset({errno.EEXIST, errno.ENOTDIR, errno.EISDIR})


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its name when the block ends well.

    Raises:
        EnvironmentFailed: the disk is full or not writable; what stood at `path` is untouched.
    """
    with _telling(path):
        _clear_the_ground(path)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        _hold(handle)
    temporary = Path(name)
    try:
        with _telling(path, _DISK):
            yield temporary
        with _telling(path):
            with temporary.open("rb+") as written:
                os.fsync(written.fileno())
            # mkstemp makes private files; what is written here is as readable as any other of the user's files
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
    finally:
        os.close(handle)
        _remove(temporary)


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place when the block ends well.

    Raises:
        EnvironmentFailed: the disk is full or not writable; what stood at `path` is untouched.
    """
    with _telling(path):
        _clear_the_ground(path)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part"))
        handle = os.open(temporary, os.O_RDONLY)
        _hold(handle)
    old = temporary.with_suffix(".old.part")
    try:
        with _telling(path, _DISK):
            yield temporary
        with _telling(path):
            temporary.chmod(0o777 & ~_umask())
            # moved aside, not removed: a folder that can be removed only in part must not be lost by half
            if os.path.lexists(path):
                path.replace(old)
            try:
                temporary.replace(path)
            except OSError:
                if os.path.lexists(old):
                    old.replace(path)
                raise
    finally:
        os.close(handle)
        _remove(temporary)
        _remove(old)


def write_bytes(path: Path, content: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """Plain data as people read it: indented, and letters of every alphabet as they are."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _clear_the_ground(path: Path) -> None:
    """Make the parent folder, and sweep away what a killed process left of its own attempt at the same file. What
    another is still at work on stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        if not _is_held(left):
            _remove(left)


def _hold(handle: int) -> bool:
    """Lock what is being written, so that nobody takes it for something that was left: the system takes the lock from a
    process that ends, however it ends. False: another has it. Where a file system has no locks, nobody has."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def _is_held(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return not _hold(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    """Remove whatever stands there, as far as that goes."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _telling(path: Path, numbers: frozenset[int] | None = None) -> Iterator[None]:
    """Errors of the disk (those `numbers`; None: all) as what they mean for who wants `path` written."""
    try:
        yield
    except OSError as error:
        if numbers is not None and error.errno not in numbers:
            raise
        mend = "Free some space or mend the permissions"
        if error.errno in _IN_THE_WAY:
            mend = "A file stands where a folder belongs, or a folder where a file does: move it elsewhere"
        raise EnvironmentFailed(
            f"could not write: {reason(error)}",
            where=str(path),
            do=f"{mend}, then run again; nothing was overwritten.",
        ) from error


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
