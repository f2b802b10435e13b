"""Who waits for the lock of a file."""

from __future__ import annotations

from pathlib import Path


def waited_for(lock: Path) -> bool:
    """Whether somebody does: https://man7.org/linux/man-pages/man5/proc_locks.5.html"""
    waiting = (line for line in Path("/proc/locks").read_text().splitlines() if "->" in line)
    return any(f":{lock.stat().st_ino} " in line for line in waiting)
