"""What Linux's kernel tells in files of one value."""

from __future__ import annotations

from pathlib import Path


def value(path: str | Path) -> str | None:
    """None: this system does not tell it."""
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None
