"""One measurement at a time on a machine that several measure on."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

LOCK = "MAKEWEIGHT_LOCK"
"""The variable that names the file whose lock is held meanwhile; without it nobody waits for anybody."""


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait until no other measurement holds the lock, which the system takes from a holder that ends."""
    path = os.environ.get(LOCK)
    if path is None:
        yield
        return
    import fcntl

    with Path(path).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.stderr.write("another measurement ran on this machine: waited for its end\n")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
