"""Peak resident memory by phase, from the kernel's own high-water mark.

VmHWM can be reset by writing 5 to /proc/self/clear_refs (proc(5)), so each phase has a peak of its own.
Never ru_maxrss: it survives fork and exec, and so reports the parent's peak.
"""

from __future__ import annotations

from pathlib import Path

from makeweight_probe import inputs, sessions
from makeweight_probe.job import MemoryJob, Result

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


def measure(job: MemoryJob) -> Result:
    """Load a model and run it: the peak of each phase over what was resident before, in bytes.

    Where the system does not tell it, the one fact is `unavailable`, with the reason.

    Raises:
        NoSession: nobody here opens the model.
    """
    opener = sessions.find(job.model.runtime)
    opener.warm_import()
    samples = inputs.read(job.inputs)
    try:
        imported = peak_bytes()
        reset_peak()
        before = peak_bytes()
        session = opener.open_session(job.model.path, job.model.threads)
        load_peak = peak_bytes()
        reset_peak()
        for index in range(job.runs):
            session.run(samples[index % len(samples)])
        run_peak = peak_bytes()
    except NoHighWaterMark as error:
        return Result({}, {"unavailable": str(error)})
    phases = {"import_peak": imported, "baseline": before, "load": load_peak - before, "run": run_peak - before}
    return Result({}, phases)
