"""What slows a machine down at this moment, as far as its system tells: heat, its supply, a limit on its clock."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from makeweight_probe import sysfs

_SYS = Path("/sys")
# What slows a processor down when it is at work; fans are other cooling devices:
# https://www.kernel.org/doc/html/latest/driver-api/thermal/sysfs-api.html
_SLOWING = re.compile(r"Processor|intel_powerclamp|(thermal-)?(cpufreq|cpuidle|idle)\b.*")
_TRIP = re.compile(r"trip_point_(\d+)_type")
_PATIENCE = 5.0
"""Seconds for a question to the firmware."""


def _firmware() -> str | None:
    """What a Raspberry Pi's firmware says: `throttled=0x50000`."""
    tool = shutil.which("vcgencmd")
    if tool is None:
        return None
    try:
        asked = [tool, "get_throttled"]
        return subprocess.run(
            asked, capture_output=True, text=True, errors="replace", check=True, timeout=_PATIENCE
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None


def state(
    root: Path = _SYS, firmware: Callable[[], str | None] = _firmware, used: Collection[int] | None = None
) -> dict[str, Any]:
    """Answers `events` (how often it was throttled since it started), `cooling` (what slows it at this moment), `hot`
    (zones beyond the temperature from which it is slowed), `firmware` (a Raspberry Pi's bits), `clock_khz` (of the
    fastest processor that is used) beside `most_khz` (the highest that one of them may have). None: not told.

    Args:
        used: the processors that measuring may run on, by number: where those of a board are of several kinds, another
            one's clock says nothing of theirs; None: all.
    """
    cpus = sorted((root / "devices/system/cpu").glob("cpu[0-9]*"))
    told = re.search(r"throttled=0x([0-9a-fA-F]+)", firmware() or "")
    own = cpus if used is None else [root / f"devices/system/cpu/cpu{number}" for number in used]
    clocks = [sysfs.number(cpu / "cpufreq/scaling_cur_freq") for cpu in own]
    allowed = [sysfs.number(cpu / "cpufreq/scaling_max_freq") for cpu in own]
    return {
        "events": _events(cpus),
        "cooling": _cooling(root),
        "hot": _hot(root),
        "firmware": None if told is None else int(told[1], 16),
        "clock_khz": max((clock for clock in clocks if clock is not None), default=None),
        "most_khz": max((most for most in allowed if most is not None), default=None),
    }


def is_told(root: Path = _SYS, firmware: Callable[[], str | None] = _firmware) -> bool:
    """Whether this system would tell of throttling at all."""
    told = state(root, firmware)
    limits = [zone for zone in (root / "class/thermal").glob("thermal_zone*") if _passive(zone)]
    cooling = [device for device in (root / "class/thermal").glob("cooling_device*") if _slows(device)]
    known = (told[name] is not None for name in ("events", "firmware", "most_khz"))
    return bool(limits or cooling or any(known))


def _slows(device: Path) -> bool:
    return _SLOWING.fullmatch(sysfs.value(device / "type") or "") is not None


def _events(cpus: list[Path]) -> int | None:
    """The threads of a core tell the same number, and so do the processors of a package: the largest counts of each."""
    found: dict[tuple[str, ...], int] = {}
    for cpu in cpus:
        package, core = (sysfs.value(cpu / f"topology/{name}") for name in ("physical_package_id", "core_id"))
        of_core = ("core", package or "", core or cpu.name)
        for of, kind in ((of_core, "core"), (("package", package or ""), "package")):
            count = sysfs.number(cpu / f"thermal_throttle/{kind}_throttle_count")
            if count is not None:
                found[of] = max(count, found.get(of, 0))
    return sum(found.values()) if found else None


def _cooling(root: Path) -> list[str]:
    found = []
    for device in sorted((root / "class/thermal").glob("cooling_device*")):
        kind, at = sysfs.value(device / "type") or "", sysfs.number(device / "cur_state")
        if _slows(device) and at is not None and at > 0:
            found.append(f"{kind} at {at} of {sysfs.value(device / 'max_state') or '?'}")
    return found


def _hot(root: Path) -> list[str]:
    found = []
    for zone in sorted((root / "class/thermal").glob("thermal_zone*")):
        heat = sysfs.number(zone / "temp")
        # a trip of zero or less stands where a board's tables have none
        trips = [trip for trip in _passive(zone) if trip > 0]
        if heat is not None and trips and heat >= min(trips):
            name = sysfs.value(zone / "type") or zone.name
            found.append(f"{name} at {heat / 1000:.0f} C, slowed from {min(trips) / 1000:.0f} C on")
    return found


def _passive(zone: Path) -> list[int]:
    numbers = (_TRIP.fullmatch(path.name) for path in zone.glob("trip_point_*_type"))
    paths = [zone / f"trip_point_{told[1]}" for told in numbers if told is not None]
    passive = (path for path in paths if sysfs.value(Path(f"{path}_type")) == "passive")
    return [trip for path in passive if (trip := sysfs.number(Path(f"{path}_temp"))) is not None]
