"""A lock on a file, which the system frees when its process ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from makeweight_base.errors import reason
from makeweight_monitors.rollback.audit import Unwritable


class FileLease:
    """A file that all controllers of a target share; not on a network's file system, whose locks may be lost."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def take(self) -> bool:
        """Whether it is ours, from before or from now on.

        Raises:
            Unwritable: the file cannot be opened.
        """
        if self._handle is not None:
            if self._is_there(self._handle):
                return True
            self.give_back()  # removed, or another took its name: that one is what others lock
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unwritable(f"the lease cannot be opened: {reason(error)}", where=str(self.path)) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        except OSError as error:
            os.close(handle)
            raise Unwritable(f"the lease cannot be taken: {reason(error)}", where=str(self.path)) from error
        if not self._is_there(handle):
            os.close(handle)
            return False
        self._handle = handle
        return True

    def _is_there(self, handle: int) -> bool:
        """Whether the file that is locked is the one of that name."""
        try:
            return os.path.samestat(os.fstat(handle), self.path.stat())
        except OSError:
            return False

    def give_back(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
