"""Peak resident memory by phase, from the kernel's own high-water mark.

VmHWM can be reset by writing 5 to /proc/self/clear_refs (proc(5)), so each phase has a peak of its own.
Never ru_maxrss: it survives fork and exec, and so reports the parent's peak.
"""

from __future__ import annotations

from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


class NoHighWaterMark(Exception):
    """This system does not tell a process its peak memory; the message says what is missing."""


def peak_bytes() -> int:
    """Peak resident memory since the process began or `reset_peak` was called, in bytes."""
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError as error:
        raise NoHighWaterMark(f"{_STATUS} cannot be read (peak memory needs Linux): {error.strerror}") from error
    raise NoHighWaterMark(f"{_STATUS} has no VmHWM (a kernel without it)")


def reset_peak() -> None:
    try:
        _CLEAR.write_text("5")
    except OSError as error:
        raise NoHighWaterMark(f"{_CLEAR} cannot be written: {error.strerror}") from error
