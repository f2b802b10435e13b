"""Writes that happen whole or not at all: no half file is ever left under its final name."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from makeweight.errors import EnvironmentFailed

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG}


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its name when the block ends well.

    Raises:
        EnvironmentFailed: the disk is full or not writable; what stood at `path` is untouched.
    """
    temporary: Path | None = None
    try:
        _clear_the_ground(path)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        # mkstemp makes private files; what is written here is as readable as any other of the user's files
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        if error.errno not in _DISK:  # any other error of the block that writes keeps its own meaning
            raise
        raise _failed(error, path) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place when the block ends well."""
    temporary: Path | None = None
    try:
        _clear_the_ground(path)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part"))
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        if path.exists():
            shutil.rmtree(path)
        temporary.replace(path)
    except OSError as error:
        if error.errno not in _DISK:  # any other error of the block that writes keeps its own meaning
            raise
        raise _failed(error, path) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def write_bytes(path: Path, content: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    write_bytes(path, content.encode())


def _clear_the_ground(path: Path) -> None:
    """Make the parent folder, and sweep away what a killed process left of its own attempt at the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink(missing_ok=True)


def _failed(error: OSError, path: Path) -> EnvironmentFailed:
    return EnvironmentFailed(
        f"could not write: {error.strerror}",
        where=str(path),
        do="Free some space or mend the permissions, then run again; nothing was overwritten.",
    )


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
