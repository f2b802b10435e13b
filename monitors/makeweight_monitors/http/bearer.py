"""A bearer token that stands in a file: read again whenever the file changes, and nobody is let in without one."""

from __future__ import annotations

import hmac
import logging
from pathlib import Path

from makeweight_base.errors import UsageError, reason

_log = logging.getLogger("makeweight_monitors")
_Stamp = tuple[int, int, int]


class Bearer:
    """Who shows the token may come in.

    Raises:
        UsageError: the file cannot be read, or is empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: _Stamp | None = None
        self._token = b""
        try:
            self._read()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the token cannot be read: {reason(error)}", where=str(path)) from error
        if not self._token:
            raise UsageError("there is no token in it", where=str(path), do="Put one there: `openssl rand -hex 32`.")

    def admits(self, authorization: str | None) -> bool:
        """Whether the header of a request shows the token; never while the file is missing or empty."""
        try:
            self._read()
        except (OSError, UnicodeDecodeError) as error:
            self._forget(f"the token cannot be read any more ({reason(error)})")
        scheme, _, shown = (authorization or "").partition(" ")
        # compared in any case, so that it takes as long with a wrong scheme, and without a token
        same = hmac.compare_digest(shown.strip().encode(), self._token)
        return same and bool(self._token) and scheme.lower() == "bearer"

    def _read(self) -> None:
        status = self.path.stat()
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if stamp == self._stamp:
            return
        self._token = self.path.read_text(encoding="utf-8").strip().encode()
        self._stamp = stamp
        if not self._token:
            self._forget("the file of the token is empty")

    def _forget(self, why: str) -> None:
        if self._token or self._stamp is not None:
            _log.error("%s: %s; nobody is let in", self.path, why)
        self._token = b""
