"""Sensors of power that boards have, such as the INA3221 of NVIDIA's Jetson, by Linux's hwmon: their watts, added up.

https://www.kernel.org/doc/html/latest/hwmon/sysfs-interface.html
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path

from makeweight_probe import sysfs
from makeweight_probe.meters import NoMeter

_ROOT = Path("/sys/class/hwmon")
_EVERY = 0.01
"""Seconds between readings: a sensor averages over some milliseconds itself."""
_MICRO, _MILLI = 1e-6, 1e-3
_INA3221 = "ina3221"
_CHANNELS = (1, 2, 3)
"""Of an INA3221, those of a rail. What it shows beyond them are the shunts and sums:
https://www.kernel.org/doc/html/latest/hwmon/ina3221.html"""
# The rail that all others hang on, by the names that boards give it: with it, the others would count twice.
_WHOLE = ("VDD_IN", "POM_5V_IN", "VIN_SYS_5V0")


def open_meter(root: Path = _ROOT, clock: Callable[[], float] = time.monotonic) -> Hwmon:
    """The rail of the whole board where it has a name, else all rails.

    Raises:
        NoMeter: there is no sensor of power, or it cannot be read.
    """
    rails = [rail for chip in sorted(root.glob("hwmon*")) for rail in _rails(chip)]
    if not rails:
        raise NoMeter(f"no sensor of power under {root}")
    whole = [rail for rail in rails if rail.name in _WHOLE]
    return Hwmon(whole or rails, clock)


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


class Hwmon:
    """Reads in a thread of its own, and takes the power between two readings for their mean."""

    def __init__(self, rails: list[_Rail], clock: Callable[[], float]) -> None:
        self._rails, self._clock = rails, clock
        self.source = f"hwmon {', '.join(rail.name for rail in rails)}"
        self._lock, self._ends = threading.Lock(), threading.Event()
        self._at, self._watts, self._joules = clock(), self._read(), 0.0
        threading.Thread(target=self._follow, daemon=True).start()

    def joules(self) -> float:
        with self._lock:
            now, watts = self._clock(), self._read()
            self._joules += (now - self._at) * (self._watts + watts) / 2
            self._at, self._watts = now, watts
            return self._joules

    def close(self) -> None:
        self._ends.set()

    def _read(self) -> float:
        return sum(rail.watts() for rail in self._rails)

    def _follow(self) -> None:
        while not self._ends.wait(_EVERY):
            try:
                self.joules()
            except NoMeter:
                return  # the next question is told


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


def _name(chip: Path, sensor: str) -> str:
    return sysfs.value(chip / f"{sensor}_label") or f"{chip.name}/{sensor}"
