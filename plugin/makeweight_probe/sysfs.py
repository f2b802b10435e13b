"""What Linux's kernel tells in files of one value."""

from __future__ import annotations

import re
from pathlib import Path

_NUMBER = re.compile(r"-?\d+")


def value(path: str | Path) -> str | None:
    """None: this system does not tell it. What is no UTF-8 in it is replaced: a board's tables may hold anything."""
    try:
        return Path(path).read_bytes().decode(errors="replace").strip()
    except OSError:
        return None


def number(path: str | Path) -> int | None:
    """None: this system does not tell it, or no integer stands there."""
    told = value(path) or ""
    return int(told) if _NUMBER.fullmatch(told) else None
