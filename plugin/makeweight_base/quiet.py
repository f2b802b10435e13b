"""Keep libraries' chatter off the user's terminal: what they print, warn and log is not what the user asked for."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator


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
