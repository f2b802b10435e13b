"""Units of which several requests come: a user, a session, a camera. Requests of one unit are right or wrong together,
so each unit stands in the tests by one of them.

Which units are known is kept as a bit for what each asked and one for what may get a label, found by a hash, in a table
that does not grow. A new unit whose bit is set already is taken for a known one: one in eighty when 100,000 are known,
one in nine when a million are. It loses counts by chance, and makes none.
"""

from __future__ import annotations

import logging
import mmap
import os
from hashlib import blake2b
from pathlib import Path

from makeweight_monitors.observe.counters import Counters

BITS = 1 << 24
_SIZE = BITS // 8
_log = logging.getLogger("makeweight_monitors")


class Units:
    """The units that were met, by one process, or by all that share a folder (`prefork.py`).

    Args:
        counters: whose lock is taken.
        folder: None: this process stands alone.
    """

    def __init__(self, counters: Counters, folder: Path | None) -> None:
        self._counters = counters
        self._path = None if folder is None else folder / "units.bits"
        self._table: mmap.mmap | None = None

    def known(self, *unit: str) -> bool:
        """Whether a unit, named by all that tells it from others, came before; from now on it is known.

        Two processes that meet a unit for the first time in the same microsecond may both find it new.
        """
        digest = blake2b("\x1f".join(unit).encode(errors="replace"), digest_size=8).digest()
        byte, bit = divmod(int.from_bytes(digest, "little") % BITS, 8)
        with self._counters.lock:
            if self._table is None:
                self._table = _opened(self._path)
            before = self._table[byte]
            self._table[byte] = before | 1 << bit
        return bool(before >> bit & 1)


def _opened(path: Path | None) -> mmap.mmap:
    """The table; in memory where there is no room for its file, which is said."""
    if path is not None:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o640)
            try:
                # a file with holes would end the process (SIGBUS) once the disk is full
                os.posix_fallocate(handle, 0, _SIZE)
                return mmap.mmap(handle, _SIZE)
            finally:
                os.close(handle)
        except OSError as error:
            _log.error("%s: %s; process %s tells units apart by itself", path, error, os.getpid())
    return mmap.mmap(-1, _SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
