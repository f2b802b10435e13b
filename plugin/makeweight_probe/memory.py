"""Peak resident memory by phase, from the kernel's own high-water mark; what of it is mapped from the model's file.

VmHWM can be reset by writing 5 to /proc/self/clear_refs (proc(5)), so each phase has a peak of its own.
Never ru_maxrss: it survives fork and exec, and so reports the parent's peak.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from makeweight_probe import facts, inputs, sessions
from makeweight_probe.job import MemoryJob, Result

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_MAPPINGS = Path("/proc/self/smaps")
_SWAPPED = 0.01
"""Of the peak, what may have been written out to swap meanwhile: resident memory has none of it."""
_EMULATED = "the processor is emulated in this very process, and what its emulator takes would count as the model's"
_OUT = "{:.2g} MB were swapped out meanwhile, which the peak does not have: the machine is short of memory"


class NoHighWaterMark(Exception):
    """This system does not tell a process its peak memory; the message says what is missing."""


def peak_bytes() -> int:
    """Peak resident memory since the process began or `reset_peak` was called, in bytes."""
    try:
        peak = _status().get("VmHWM")
    except OSError as error:
        raise NoHighWaterMark(f"{_STATUS} cannot be read (peak memory needs Linux): {error.strerror}") from error
    if peak is None:
        raise NoHighWaterMark(f"{_STATUS} has no VmHWM (a kernel without it)")
    return peak


def _status() -> dict[str, int]:
    """What it counts in kB, in bytes."""
    lines = (line.split() for line in _STATUS.read_text(errors="replace").splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if len(words) == 3 and words[2] == "kB"}


def reset_peak() -> None:
    try:
        _CLEAR.write_text("5")
    except OSError as error:
        raise NoHighWaterMark(f"{_CLEAR} cannot be written: {error.strerror}") from error


def mapped_bytes(files: Sequence[str], mappings: str) -> int:
    """How much of these files is resident because it is mapped.

    Args:
        mappings: as /proc/self/smaps has them: a line with addresses and, last, the path; then `Rss:` among others.
    """
    wanted = {str(Path(file).resolve()) for file in files}
    total, within = 0, False
    for line in mappings.split("\n"):  # a name may hold what else ends a line
        words = line.split(maxsplit=5)
        if not words:
            continue
        if "-" in words[0] and not words[0].endswith(":"):
            within = len(words) == 6 and words[5] in wanted
        elif within and words[0] == "Rss:":
            total += int(words[1]) * 1024
    return total


def _mapped(files: Sequence[str]) -> int | None:
    """None: this system does not tell."""
    # as Python has names of files that are no text
    return mapped_bytes(files, _MAPPINGS.read_text(errors="surrogateescape")) if _MAPPINGS.exists() else None


def measure(job: MemoryJob) -> Result:
    """Load a model and run it: the peak of each phase over what was resident before, in bytes.

    `load`, `first` (the first run), `steady` (those after it), `run` (the larger of the two); `anonymous` and `mapped`,
    what is resident afterwards of memory that is no file's, and of the model's own files; `allocation`, how the session
    says that it has memory, or None; `device`, where it computes elsewhere than on the processor: what this process
    holds there afterwards, see `session.Session`. Where the system does not tell it, or tells it with what is not the
    model's, the one fact is `unavailable`, with the reason.

    Raises:
        NoSession: nobody here opens the model.
    """
    opener = sessions.of(job.model)
    if facts.emulated_here():
        return Result({}, {"unavailable": _EMULATED})
    opener.warm_import()
    samples = inputs.read(job.inputs)
    try:
        imported = peak_bytes()
        reset_peak()
        before, then = peak_bytes(), _status()
        session = opener.open_session(job.model.path, job.model.threads)
        load_peak = peak_bytes()
        reset_peak()
        session.run(samples[0])
        first_peak = peak_bytes()
        reset_peak()
        for index in range(1, job.runs):
            session.run(samples[index % len(samples)])
        steady_peak = peak_bytes()
    except NoHighWaterMark as error:
        return Result({}, {"unavailable": str(error)})
    now = _status()
    anonymous, after = then.get("RssAnon"), now.get("RssAnon")
    phases = {"load": load_peak - before, "first": first_peak - before, "steady": steady_peak - before}
    told: dict[str, Any] = {
        "anonymous": None if after is None or anonymous is None else after - anonymous,
        "mapped": _mapped(job.model.files),
        "allocation": getattr(session, "allocation", None),
    }
    if hasattr(session, "device_memory"):
        told["device"] = session.device_memory()
    run = max(phases["first"], phases["steady"])
    swapped = now.get("VmSwap", 0) - then.get("VmSwap", 0)
    if swapped > _SWAPPED * max(run, 0):
        return Result({}, {"unavailable": _OUT.format(swapped / 1e6)})
    return Result({}, {"import_peak": imported, "baseline": before, **phases, "run": run, **told})
