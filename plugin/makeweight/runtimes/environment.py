"""Whether an error of a runtime's C++ side says that the machine failed, and not the model."""

from __future__ import annotations

import errno
import os
import re


def reraise(error: BaseException) -> None:
    """Return, unless that is what an error means.

    Raises:
        OSError, MemoryError: the disk is full, or the memory.
    """
    text = str(error)
    if isinstance(error, OSError | MemoryError):
        raise error
    if "No space left on device" in text or "system error number 28" in text:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
    if re.search(r"bad_alloc|[Ff]ailed to allocate memory|can't allocate memory", text):
        raise MemoryError(" ".join(text.split())) from error
