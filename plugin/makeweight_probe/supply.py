"""What a machine with a battery runs on, by Linux's power_supply: many go slower without the mains.

https://www.kernel.org/doc/html/latest/power/power_supply_class.html
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from makeweight_probe import sysfs

ROOT = Path("/sys/class/power_supply")
Supplies = Mapping[str, Mapping[str, str]]
"""What the files of each supply hold, by their names."""


def source(root: Path = ROOT) -> str | None:
    """`on battery` or `on mains`. None: it has no battery of its own, or does not tell."""
    supplies = read(("type", "scope", "status", "online"), root)
    statuses = [files.get("status") for files in batteries(supplies).values()]
    if not any(statuses):
        return None
    return "on battery" if "Discharging" in statuses and not plugged(supplies) else "on mains"


def read(names: Collection[str], root: Path) -> Supplies:
    """Of the files of these names what can be read."""
    found: dict[str, dict[str, str]] = {}
    for supply in sorted(root.glob("*")):
        values = ((name, sysfs.value(supply / name)) for name in names)
        found[supply.name] = {name: value for name, value in values if value is not None}
    return found


def batteries(supplies: Supplies) -> dict[str, Mapping[str, str]]:
    """Those of the machine itself, none of a mouse."""
    return {
        name: files
        for name, files in supplies.items()
        if files.get("type") == "Battery" and files.get("scope", "System") != "Device"
    }


def plugged(supplies: Supplies) -> list[str]:
    """What gives power from outside."""
    return [
        name
        for name, files in supplies.items()
        if files.get("type") != "Battery" and files.get("online", "0") not in ("", "0")
    ]
