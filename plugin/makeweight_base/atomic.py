"""Writes that happen whole or not at all: no half file is ever left under its final name."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from makeweight_base.errors import EnvironmentFailed, reason

# What a block that writes may run into although it did nothing wrong; any other error of its keeps its own meaning.
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG})
_IN_THE_WAY = frozenset({errno.EEXIST, errno.ENOTDIR, errno.EISDIR})
# What systems say of a folder that is to take the name of another one that is not empty.
_TAKEN = frozenset({errno.ENOTEMPTY, errno.EEXIST})


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file that takes the name of `path` when the block ends well.

    Raises:
        EnvironmentFailed: the disk is full or not writable; what stood at `path` is untouched.
    """
    with _beside(path) as folder:
        temporary = folder / "part"
        with _telling(path):
            temporary.touch()
        with _telling(path, _DISK):
            yield temporary
        with _telling(path):
            with temporary.open("rb+") as written:
                os.fsync(written.fileno())
            temporary.replace(path)


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place when the block ends well.

    Raises:
        EnvironmentFailed: the disk is full or not writable; what stood at `path` is untouched.
    """
    with _beside(path) as temporary:
        with _telling(path, _DISK):
            yield temporary
        with _telling(path):
            # mkdtemp makes private folders; what is made here is as readable as any other of the user's
            temporary.chmod(0o777 & ~_umask())
            _take_the_place(temporary, path)


def write_bytes(path: Path, content: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any, *, readable_as_before: bool = False) -> None:
    """Plain data as people read it: indented, and letters of every alphabet as they are.

    Args:
        readable_as_before: by those who may read what stands there, whatever this process allows of its own files.
    """
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        if readable_as_before and path.exists():
            before = path.stat()
            for user in (before.st_uid, -1):  # only root keeps the user; others keep a group that they are in
                with contextlib.suppress(OSError):
                    os.chown(temporary, user, before.st_gid)
                    break
            temporary.chmod(stat.S_IMODE(before.st_mode) | stat.S_IRUSR | stat.S_IWUSR)


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """An empty folder beside `path`, held for as long as it is written in, and gone afterwards.

    Files are written in such a folder, too, in place of being held themselves: where a file lies on another machine
    (SMB since Linux 5.5, see flock(2)), nobody may write to a held one by another handle, while folders are held on
    this one alone.
    """
    with _telling(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
            _sweep(left)
        folder, handle = _held(path)
    try:
        yield folder
    finally:
        os.close(handle)
        remove(folder)


def _held(path: Path) -> tuple[Path, int]:
    """A new folder, and the handle that holds it."""
    while True:
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part"))
        with contextlib.suppress(FileNotFoundError):
            handle = os.open(folder, os.O_RDONLY)
            if _hold(handle) and folder.exists():
                return folder, handle
            os.close(handle)
        # another swept it away before it was held


def _sweep(left: Path) -> None:
    """Remove what a killed process left of its own attempt at the same. What another of this machine is still at work
    on stays, and so does what another account keeps to itself, of which nobody can tell."""
    try:
        handle = os.open(left, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except PermissionError:
        return
    except OSError:
        remove(left)
        return
    try:
        if _hold(handle):
            remove(left)
    finally:
        os.close(handle)


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


def _take_the_place(folder: Path, path: Path) -> None:
    old = folder.with_suffix(".old.part")
    try:
        while True:
            # moved aside, not removed: a folder that can be removed only in part must not be lost by half
            with contextlib.suppress(FileNotFoundError):
                path.replace(old)
            try:
                folder.replace(path)
            except OSError as error:
                if error.errno not in _TAKEN:
                    if os.path.lexists(old):
                        old.replace(path)
                    raise
                remove(old)  # another has just taken the place, which stands for what was there before
            else:
                return
    finally:
        remove(old)


def remove(path: Path) -> None:
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
