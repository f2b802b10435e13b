"""Processors of several kinds in one machine, such as fast ones beside frugal ones: which are which, by the kernel.

Of Arm's each tells its capacity (https://docs.kernel.org/scheduler/sched-capacity.html); of Intel's there is a list for
each kind (Linux, tools/perf/Documentation/intel-hybrid.txt).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from makeweight_probe import sysfs

_DEVICES = Path("/sys/devices")
_LISTS = ("cpu_core", "cpu_atom", "cpu_lowpower")
_ALIKE = 0.9
"""Of the largest capacity of a kind, what the others of it have at least: single ones of a kind may go a little
faster."""
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


def among(cpus: Collection[int] | None, root: Path = _DEVICES) -> list[list[int]]:
    """The processors of each kind, the fastest kind first; empty where they are all of one, or it is not told.

    Args:
        cpus: those that count; None: all.
    """
    found = [_listed(sysfs.value(root / name / "cpus") or "") for name in _LISTS]
    if sum(map(bool, found)) < 2:
        found = _by_capacity(root / "system/cpu")
    return within(found, cpus)


def within(kinds: Collection[Collection[int]], cpus: Collection[int] | None) -> list[list[int]]:
    """Of the processors of each kind those that count; empty where these are all of one.

    Args:
        cpus: see `among`.
    """
    counting = [[cpu for cpu in kind if cpus is None or cpu in cpus] for kind in kinds]
    left = [kind for kind in counting if kind]
    return left if len(left) > 1 else []


def _by_capacity(root: Path) -> list[list[int]]:
    told = {int(cpu.name[3:]): sysfs.number(cpu / "cpu_capacity") for cpu in root.glob("cpu[0-9]*")}
    capacities = {cpu: capacity for cpu, capacity in told.items() if capacity is not None}
    kinds: list[list[int]] = []
    for cpu in sorted(capacities, key=lambda cpu: (-capacities[cpu], cpu)):
        if kinds and capacities[cpu] >= _ALIKE * capacities[kinds[-1][0]]:
            kinds[-1].append(cpu)
        else:
            kinds.append([cpu])
    return [sorted(kind) for kind in kinds]


def _listed(text: str) -> list[int]:
    """As the kernel writes them: `0-3,8`."""
    ranges = (_RANGE.fullmatch(part.strip()) for part in text.split(","))
    return [cpu for told in ranges if told is not None for cpu in range(int(told[1]), int(told[2] or told[1]) + 1)]
