"""What an error of a runtime says: that the machine failed, or something of the model."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def translated(meant: Callable[[Exception], Exception], own: type[Exception] | tuple[()] = ()) -> Iterator[None]:
    """Turn what a library raises into what it means.

    Args:
        meant: the error that stands for another.
        own: is raised as it is.

    Raises:
        OSError, MemoryError: the machine failed.
    """
    try:
        yield
    except own:
        raise
    except Exception as error:
        reraise(error)
        raise meant(error) from error


def reraise(error: BaseException) -> None:
    """Return, unless the error is the machine's.

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
