"""How much of its processors a machine gives the control groups (cgroups) of this process, as it does of containers,
and how often it held them back.

In each period a group may compute for as long as its quota, on all processors together; then all of it stands still
until the next. Version 2 tells it in `cpu.max`, version 1 in `cpu.cfs_quota_us`:
https://www.kernel.org/doc/html/latest/scheduler/sched-bwc.html
https://www.kernel.org/doc/html/latest/admin-guide/cgroup-v2.html#cpu-interface-files
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from makeweight_probe import sysfs

_PROCESS = Path("/proc/self")
_NS = 1000
"""In a microsecond."""
_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class _Limit:
    """That of one group."""

    quota_us: int
    period_us: int
    periods: int | None
    """In which it was to be kept; None: not told. So it is with the others."""
    throttled: int | None
    """Times that it was used up."""
    throttled_us: int | None
    """How long it stood still for that, processor by processor."""


def state(process: Path = _PROCESS, root: Path = Path("/")) -> dict[str, Any] | None:
    """Answers `processors` (how many it may use at once, 1.5 for one and a half), `throttled` (how often it was held
    back), `throttled_us` (for how long) and `limited_us` (for how long it computed under that limit), since its groups
    began. None: there is no limit, or this system does not tell of one.

    Args:
        process: where the kernel tells of it: `cgroup` and `mountinfo`, see proc(5).
        root: that of the paths there.
    """
    limits = [limit for group in _once(_groups(process, root)) if (limit := _limit(group)) is not None]
    if not limits:
        return None
    kept = [limit.periods * limit.period_us for limit in limits if limit.periods is not None]
    return {
        "processors": min(limit.quota_us / limit.period_us for limit in limits),
        "throttled": _sum([limit.throttled for limit in limits]),
        "throttled_us": _sum([limit.throttled_us for limit in limits]),
        "limited_us": max(kept, default=None),
    }


def _sum(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _groups(process: Path, root: Path) -> Iterator[Path]:
    """The folders of the groups that it is in, and of those around them, as far as they are seen from here."""
    own = _own(sysfs.value(process / "cgroup") or "")
    for version, within, place in _mounts(sysfs.value(process / "mountinfo") or ""):
        if version not in own:
            continue
        mounted = root / place.lstrip("/")
        below = _below(own[version], within)
        yield from (mounted / part for part in (below, *below.parents))


def _once(folders: Iterable[Path]) -> Iterator[Path]:
    """Those that are there; a container may see the same in several places."""
    seen: set[tuple[int, int]] = set()
    for folder in folders:
        try:
            found = folder.stat()
        except OSError:
            continue
        if (found.st_dev, found.st_ino) not in seen:
            seen.add((found.st_dev, found.st_ino))
            yield folder


def _own(told: str) -> dict[int, str]:
    """The group that has the processors, by the version of its kind: lines of `number:controllers:path`."""
    lines = (line.split(":", 2) for line in told.splitlines())
    found = {}
    for _, controllers, path in (line for line in lines if len(line) == 3):
        if not controllers:
            found[2] = path
        elif "cpu" in controllers.split(","):
            found[1] = path
    return found


def _mounts(told: str) -> Iterator[tuple[int, str, str]]:
    """Where groups are seen: version, the group that is the uppermost there, and the folder."""
    for line in told.splitlines():
        first, _, last = line.partition(" - ")
        words, kind = first.split(), last.split()
        if len(words) < 5 or not kind:
            continue
        within, place = (_ESCAPED.sub(lambda code: chr(int(code[1], 8)), word) for word in words[3:5])
        if kind[0] == "cgroup2":
            yield 2, within, place
        elif kind[0] == "cgroup" and "cpu" in kind[-1].split(","):
            yield 1, within, place


def _below(group: str, within: str) -> PurePosixPath:
    """The path of a group from the uppermost that is seen; that one itself, where the group's name is of another
    namespace than what is seen."""
    try:
        found = PurePosixPath(group).relative_to(within)
    except ValueError:
        return PurePosixPath()
    return PurePosixPath() if ".." in found.parts else found


def _limit(group: Path) -> _Limit | None:
    """None: it has none."""
    quota, period = [*(sysfs.value(group / "cpu.max") or "").split(), "", ""][:2]
    if not quota:
        quota, period = (sysfs.value(group / f"cpu.cfs_{name}_us") or "" for name in ("quota", "period"))
    if not (quota.isdecimal() and period.isdecimal() and int(period)):
        return None  # `max`, or -1
    stat = dict(line.split(maxsplit=1) for line in (sysfs.value(group / "cpu.stat") or "").splitlines() if " " in line)
    counted = {name: int(value) for name, value in stat.items() if value.isdecimal()}
    nanoseconds = counted.get("throttled_time")
    stood = counted.get("throttled_usec", None if nanoseconds is None else nanoseconds // _NS)
    return _Limit(int(quota), int(period), counted.get("nr_periods"), counted.get("nr_throttled"), stood)
