"""How hot a machine is: by its thermal zones, else by the sensor of its processor.

Many desktops, those of AMD's processors above all, have no zones, and tell it by Linux's hwmon alone:
https://www.kernel.org/doc/html/latest/hwmon/sysfs-interface.html
"""

from __future__ import annotations

import re
from pathlib import Path

from makeweight_probe import sysfs

_CLASS = Path("/sys/class")
_NUMBER = re.compile(r"\d+")
# Drivers of sensors within a processor; others tell of a disk, a fan's air, a radio.
_PROCESSORS = ("coretemp", "k10temp", "k8temp", "zenpower", "via_cputemp", "cpu_thermal")


def millicelsius(root: Path = _CLASS) -> str | None:
    """In thousandths of a degree Celsius, of the first zone that tells; without one, of the processor's hottest sensor.
    None: not told."""
    zones = (sysfs.number(zone / "temp") for zone in _in_order(root / "thermal", "thermal_zone*"))
    told = next((heat for heat in zones if heat is not None), None)
    found = _of_processor(root / "hwmon") if told is None else told
    return None if found is None else str(found)


def _of_processor(root: Path) -> int | None:
    chips = [chip for chip in _in_order(root, "hwmon*") if sysfs.value(chip / "name") in _PROCESSORS]
    told = (sysfs.number(sensor) for chip in chips for sensor in chip.glob("temp*_input"))
    return max((heat for heat in told if heat is not None), default=None)


def _in_order(folder: Path, names: str) -> list[Path]:
    """By their numbers: the tenth after the second."""
    return sorted(folder.glob(names), key=lambda path: [int(number) for number in _NUMBER.findall(path.name)])
