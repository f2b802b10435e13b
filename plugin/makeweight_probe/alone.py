"""One measurement at a time on a machine that several measure on."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

LOCK = "MAKEWEIGHT_LOCK"
"""The variable that names the file whose lock is held meanwhile; without it nobody waits for anybody."""


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait until no other measurement holds the lock."""
    path = os.environ.get(LOCK)
    if path is None:
        yield
        return

    def waited() -> None:
        sys.stderr.write("another measurement ran on this machine: waited for its end\n")

    with locked(Path(path), waited):
        yield


@contextlib.contextmanager
def locked(path: Path, waited: Callable[[], object]) -> Iterator[None]:
    """Hold the lock of a file, which the system takes from a holder that ends. The holder may remove the file.

    Args:
        waited: called where another had to end first.
    """
    import fcntl

    late = False
    while True:
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                fcntl.flock(file, fcntl.LOCK_EX)
                late = True
            if not _lies_at(path, file):
                continue  # it was removed meanwhile: others lock the one that came after it
            if late:
                waited()
            yield
            return


def _lies_at(path: Path, file: IO[Any]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
