"""The folder of what makeweight keeps for itself, once something is kept there."""

from __future__ import annotations

from pathlib import Path

from makeweight.layout import OWN
from makeweight_base import atomic


def ignored(root: Path) -> Path:
    """The folder in a project's, which git is told to ignore.

    Raises:
        EnvironmentFailed: the disk is full or not writable.
    """
    told = root / OWN / ".gitignore"
    if not told.exists():
        atomic.write_text(told, "*\n")
    return told.parent
