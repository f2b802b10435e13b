"""The standard error of this process, kept in a file: what a runtime's own code writes there too, past Python."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import IO


@contextlib.contextmanager
def diverted(file: IO[bytes]) -> Iterator[None]:
    """As long as this lasts, it goes into the file."""
    sys.stderr.flush()
    own = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(own, 2)
        os.close(own)
