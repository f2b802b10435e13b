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
    zones = (sysfs.value(zone / "temp") for zone in _in_order(root / "thermal", "thermal_zone*"))
    told = next((heat for heat in zones if _is_number(heat)), None)
    return told if told is not None else _of_processor(root / "hwmon")


def _of_processor(root: Path) -> str | None:
    chips = [chip for chip in _in_order(root, "hwmon*") if sysfs.value(chip / "name") in _PROCESSORS]
    told = (sysfs.value(sensor) for chip in chips for sensor in chip.glob("temp*_input"))
    return max((heat for heat in told if heat is not None and _is_number(heat)), key=int, default=None)


def _in_order(folder: Path, names: str) -> list[Path]:
    """By their numbers: the tenth after the second."""
    return sorted(folder.glob(names), key=lambda path: [int(number) for number in _NUMBER.findall(path.name)])


def _is_number(text: str | None) -> bool:
    return text is not None and re.fullmatch(r"-?\d+", text) is not None
