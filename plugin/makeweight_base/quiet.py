"""Keep libraries' chatter off the user's terminal: what they print, warn and log is not what the user asked for."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop prints, warnings and log records within the block. Exceptions still leave it."""
    disabled = logging.root.manager.disable
    # logging.warning() and some libraries' imports install a handler on the root logger; the user's stays as it was
    handlers, level = logging.root.handlers[:], logging.root.level
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(disabled)
            logging.root.handlers[:] = handlers
            logging.root.setLevel(level)


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Drop besides what libraries in C++ write to the terminal, past Python."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [(number, os.dup(number)) for number in (1, 2)]
    with quiet(), Path(os.devnull).open("wb") as nowhere:
        try:
            for number, _ in kept:
                os.dup2(nowhere.fileno(), number)
            yield
        finally:
            for number, own in kept:
                os.dup2(own, number)
                os.close(own)
