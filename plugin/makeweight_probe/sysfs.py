"""What Linux's kernel tells in files of one value."""

from __future__ import annotations

from pathlib import Path


def value(path: str | Path) -> str | None:
    """None: this system does not tell it. What is no UTF-8 in it is replaced: a board's tables may hold anything."""
    try:
        return Path(path).read_bytes().decode(errors="replace").strip()
    except OSError:
        return None
