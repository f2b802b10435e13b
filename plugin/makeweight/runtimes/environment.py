"""What an error of a runtime says: that the machine failed, or something of the model."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterator

# As allocators of processors and accelerators, and the runtimes on top of them, say it.
_MEMORY = re.compile(
    r"bad_alloc|[Ff]ailed to allocate memory|can't allocate memory|not enough memory|out of memory|ALLOC_FAILED"
)


@contextlib.contextmanager
def translated(
    meant: Callable[[Exception], Exception], own: type[Exception] | tuple[type[Exception], ...] = ()
) -> Iterator[None]:
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
    if out_of_memory(error):
        raise MemoryError(" ".join(text.split())) from error


def out_of_memory(error: BaseException) -> bool:
    """Whether it says that there is too little memory: PyTorch and the runtimes have no type for that of a processor's,
    and one of their own for an accelerator's."""
    return isinstance(error, MemoryError) or _MEMORY.search(str(error)) is not None
