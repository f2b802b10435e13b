"""What is changed on a machine for as long as it measures, where that is asked for: its processors, their governor."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from makeweight_probe import ProbeFailed, sysfs
from makeweight_probe.job import Setting
from makeweight_probe.leaving import in_order

_CPUS = Path("/sys/devices/system/cpu")


class NoSetting(ProbeFailed):
    """What is asked for cannot be set on this machine, whatever is measured."""


@contextlib.contextmanager
def held(setting: Setting, root: Path = _CPUS) -> Iterator[None]:
    """As long as this lasts. The governors of before come back at the end, also of a process that is asked to end; one
    that is killed at once (SIGKILL, a cut supply) leaves the new ones.

    Raises:
        NoSetting: it cannot be had here; nothing is changed then.
    """
    with contextlib.ExitStack() as stack:
        if setting.cpus is not None:
            stack.callback(_pinned(setting.cpus))
        if setting.governor is not None:
            stack.enter_context(in_order())
            stack.callback(_governed(setting.governor, setting.cpus, root))
        yield


def _pinned(cpus: tuple[int, ...]) -> Callable[[], object]:
    if not hasattr(os, "sched_setaffinity"):
        raise NoSetting(f"`cpus`: {sys.platform} lets nobody choose the processors of a process")
    before = os.sched_getaffinity(0)
    named = ", ".join(map(str, cpus))
    try:
        os.sched_setaffinity(0, cpus)
    except (OSError, OverflowError, ValueError) as error:
        raise NoSetting(f"`cpus`: {named} cannot be had here, there are {_listed(before)}: {error}") from error
    if os.sched_getaffinity(0) != set(cpus):
        os.sched_setaffinity(0, before)
        raise NoSetting(f"`cpus`: of {named} not all can be had here, there are {_listed(before)}")
    return lambda: os.sched_setaffinity(0, before)


def _listed(cpus: set[int]) -> str:
    return ", ".join(map(str, sorted(cpus)))


def _governed(governor: str, cpus: tuple[int, ...] | None, root: Path) -> Callable[[], object]:
    wanted = [root / f"cpu{number}" for number in cpus] if cpus is not None else sorted(root.glob("cpu[0-9]*"))
    files = [cpu / "cpufreq/scaling_governor" for cpu in wanted]
    before = {path: value for path in files if (value := sysfs.value(path)) is not None}
    if not before:
        raise NoSetting("`governor` cannot be set: this machine shows no cpufreq, as most virtual machines do")
    offered = sysfs.value(next(iter(before)).with_name("scaling_available_governors"))
    if offered is not None and governor not in offered.split():
        raise NoSetting(f"`governor`: there is no {governor} here, but {', '.join(offered.split())}")

    def restore() -> None:
        for path, value in before.items():
            with contextlib.suppress(OSError):  # a processor that has gone has none to get back
                path.write_text(value)

    try:
        for path in before:
            path.write_text(governor)
    except OSError as error:
        restore()
        raise NoSetting(f"`governor` cannot be set, mostly only root may: {error}") from error
    return restore
