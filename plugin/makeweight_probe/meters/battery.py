"""The battery of a phone or a laptop while it empties: amperes by volts, as its fuel gauge has them, by Linux's
power_supply (https://www.kernel.org/doc/html/latest/power/power_supply_class.html).

Gauges follow slowly, so blocks are long. The kernel's unit is the microampere, and some drivers give milliamperes; what
flows out is negative to some and positive to others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from makeweight_probe import supply
from makeweight_probe.power import Clock, NoMeter, Polled
from makeweight_probe.supply import Supplies

FILES = ("type", "scope", "status", "online", "current_now", "voltage_now", "power_now")
_EVERY = 0.25
_SECONDS = 20.0
"""Of a block: gauges show a new reading every 0.25 s to some seconds."""
_MICRO, _MILLI = 1e-6, 1e-3
_MOST_MILLIAMPERES = 6_000
"""More than a battery gives for long; and as many microamperes are less than anything takes that is awake."""
_MOST_MILLIVOLTS = 100_000


def open_meter(root: Path = supply.ROOT, clock: Clock = time.monotonic) -> Polled:
    """All batteries of the machine.

    Raises:
        NoMeter: there is none, it tells no current, or it is being charged.
    """
    return by(lambda: supply.read(FILES, root), f"under {root}", clock)


def by(read: Callable[[], Supplies], where: str, clock: Clock = time.monotonic) -> Polled:
    """The same by what reads those files, wherever they are.

    Args:
        where: in words, for the reason.
    """
    names = ", ".join(_batteries(read(), where))
    return Polled(f"battery {names}", lambda: watts(read(), where), clock, _EVERY, _SECONDS)


def watts(supplies: Supplies, where: str) -> float:
    """What flows out of all batteries.

    Raises:
        NoMeter: there is none, it does not tell, or power flows in from outside.
    """
    found = _batteries(supplies, where)
    if mains := supply.plugged(supplies):
        raise NoMeter(f"the battery is not what it runs on: {mains[0]} is plugged in (adb works over Wi-Fi, too)")
    # of two, a laptop empties one after the other
    emptying = {name: files for name, files in found.items() if files.get("status") == "Discharging"}
    if not emptying or any(files.get("status") == "Charging" for files in found.values()):
        name, status = next((n, f.get("status", "Unknown")) for n, f in found.items() if n not in emptying)
        raise NoMeter(f"the battery {name} is not emptying (`{status}`): pull the plug (adb works over Wi-Fi, too)")
    return sum(_watts(name, files) for name, files in emptying.items())


def _batteries(supplies: Supplies, where: str) -> dict[str, Mapping[str, str]]:
    """Raises:
    NoMeter: there is none.
    """
    found = supply.batteries(supplies)
    if not found:
        raise NoMeter(f"no battery {where}")
    return found


def _watts(name: str, files: Mapping[str, str]) -> float:
    if (power := _number(files, "power_now")) is not None and "current_now" not in files:
        return abs(power) * _MICRO
    current, voltage = _number(files, "current_now"), _number(files, "voltage_now")
    if current is None or voltage is None:
        raise NoMeter(f"the battery {name} tells no current and voltage, or not to everybody")
    amperes = abs(current) * (_MILLI if abs(current) <= _MOST_MILLIAMPERES else _MICRO)
    volts = abs(voltage) * (_MILLI if abs(voltage) <= _MOST_MILLIVOLTS else _MICRO)
    return amperes * volts


def _number(files: Mapping[str, str], name: str) -> int | None:
    try:
        return int(files[name])
    except (KeyError, ValueError):
        return None
