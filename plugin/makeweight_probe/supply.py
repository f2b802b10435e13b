"""What a machine with a battery runs on, by Linux's power_supply: many go slower without the mains.

https://www.kernel.org/doc/html/latest/power/power_supply_class.html
"""

from __future__ import annotations

from pathlib import Path

from makeweight_probe import sysfs

_ROOT = Path("/sys/class/power_supply")


def source(root: Path = _ROOT) -> str | None:
    """`on battery` or `on mains`. None: it has no battery of its own, as a mouse has one, or does not tell."""
    batteries, plugged = list[str | None](), False
    for supply in root.glob("*"):
        if sysfs.value(supply / "type") != "Battery":
            plugged = plugged or bool(sysfs.number(supply / "online"))
        elif sysfs.value(supply / "scope") != "Device":
            batteries.append(sysfs.value(supply / "status"))
    if not any(batteries):
        return None
    return "on battery" if "Discharging" in batteries and not plugged else "on mains"
