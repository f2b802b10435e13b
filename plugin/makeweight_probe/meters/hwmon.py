"""Sensors of power that boards have, such as the INA3221 of NVIDIA's Jetson, by Linux's hwmon: their watts, added up.

https://www.kernel.org/doc/html/latest/hwmon/sysfs-interface.html
"""

from __future__ import annotations

import math
import re
import time
from pathlib import Path

from makeweight_probe import rails, sysfs
from makeweight_probe.meters import NoMeter
from makeweight_probe.power import Clock, Polled

_ROOT = Path("/sys/class/hwmon")
_MICRO, _MILLI = 1e-6, 1e-3
_INA3221 = "ina3221"
_ELSEWHERE = re.compile(r"amdgpu|radeon|nouveau|i915|xe|nvme|sfp.*")
"""Chips whose power is that of a graphics card, a disk or a transceiver, and not of what runs the models."""
_CHANNELS = (1, 2, 3)
"""Of an INA3221, those of a rail. What it shows beyond them are the shunts and sums:
https://www.kernel.org/doc/html/latest/hwmon/ina3221.html"""


def open_meter(root: Path = _ROOT, clock: Clock = time.monotonic) -> Polled:
    """The rails that make up the board.

    Raises:
        NoMeter: there is no sensor of power, or it cannot be read.
    """
    chips = sorted(root.glob("hwmon*"))
    chips = [chip for chip in chips if not (_ELSEWHERE.fullmatch(sysfs.value(chip / "name") or "") or _of_supply(chip))]
    found = [rail for chip in chips for rail in _rails(chip)]
    if not found:
        raise NoMeter(f"no sensor of power under {root}")
    names = rails.counting(rail.name for rail in found)
    counting = [rail for rail in found if rail.name in names]
    source = f"hwmon {', '.join(rail.name for rail in counting)}"
    return Polled(source, lambda: sum(rail.watts() for rail in counting), clock)


class _Rail:
    """Power in watts: the product of what these files hold, each in its unit."""

    def __init__(self, name: str, *factors: tuple[Path, float]) -> None:
        self.name = name
        self._factors = factors

    def watts(self) -> float:
        try:
            return math.prod(int(path.read_text()) * unit for path, unit in self._factors)
        except (OSError, ValueError) as error:
            raise NoMeter(f"the sensor {self.name} cannot be read: {error}") from error


def _rails(chip: Path) -> list[_Rail]:
    """`power1_input` with `power1_label`; or, of an INA3221, `in1_input` beside `curr1_input`, named by `in1_label`."""
    powers = sorted(chip.glob("power*_input"))
    if powers or sysfs.value(chip / "name") != _INA3221:
        return [_Rail(_name(chip, power.name.removesuffix("_input")), (power, _MICRO)) for power in powers]
    measured = [number for number in _CHANNELS if (chip / f"curr{number}_input").exists()]
    return [
        _Rail(
            _name(chip, f"in{number}"),
            (chip / f"in{number}_input", _MILLI),
            (chip / f"curr{number}_input", _MILLI),
        )
        for number in measured
    ]


def _of_supply(chip: Path) -> bool:
    """Whether it is a battery or a charger, which Linux shows here once more (CONFIG_POWER_SUPPLY_HWMON). Their gauges
    follow slowly, and beside a plug they tell what flows into the battery."""
    return (chip / "device/subsystem").resolve().name == "power_supply"


def _name(chip: Path, sensor: str) -> str:
    return sysfs.value(chip / f"{sensor}_label") or f"{chip.name}/{sensor}"
