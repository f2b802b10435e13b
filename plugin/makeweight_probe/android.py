"""What an Android device says of itself, by its shell: what it is, and the state it is in.

https://source.android.com/docs/core/architecture/configuration/add-system-properties
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from makeweight_probe import ProbeFailed, cpuinfo
from makeweight_probe.isa import telling

_GETPROP = Path("/system/bin/getprop")
_PATIENCE = 60.0
"""Seconds for all that it is asked, of which a service that hangs takes ten."""
_MARK = "==> "
_SECTIONS = {
    "properties": "getprop",
    "cpuinfo": "cat /proc/cpuinfo",
    "machine": "uname -m",
    "board": "tr -d '\\000' </proc/device-tree/model",
    # also those that are switched off at the moment, as phones do to save power or cool down
    "cores": "nproc --all || nproc",
    "load": "cat /proc/loadavg",
    "governors": "cat /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
    "frequencies": "cat /sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq",
    "zones": "for zone in /sys/class/thermal/thermal_zone*; do "
    'echo "$(cat "$zone/type" 2>/dev/null)=$(cat "$zone/temp" 2>/dev/null)"; done',
    "thermal": "dumpsys thermalservice",
    "battery": "dumpsys battery",
    "power": "dumpsys power | grep mWakefulness=",
}
ASK = "; ".join(f"echo '{_MARK}{name}'; {{ {ask}; }} 2>/dev/null" for name, ask in _SECTIONS.items()) + "; true"
"""A script of the shell that prints all that is wanted; what a device does not tell, or not to us, is left out."""

_PROPERTY = re.compile(r"^\[(.+?)\]: \[(.*)\]$", re.MULTILINE)
_STATUS = re.compile(r"Thermal Status: (\d+)")
_CURRENT = "Current temperatures from HAL:"
_TEMPERATURE = re.compile(r"Temperature\{mValue=(-?\d+(?:\.\d+)?).*?mName=([^,}]+)")
_EMULATORS = ("goldfish", "ranchu", "cutf_cvm")
"""Hardware that is none: the emulator's, old and new, and that of Cuttlefish."""
_MILLI = 1000
_SLOWED = 2
"""The thermal status from which on a device is slowed: moderate."""
_COLDEST = -50
"""Degrees Celsius; what is below is a sensor that does not answer."""

Told = Mapping[str, str]
"""What was printed, by section."""


def told_here() -> Told | None:
    """What this device says; None: it is no Android.

    Raises:
        ProbeFailed: it does not answer.
    """
    if not _GETPROP.exists():
        return None
    command = ["/system/bin/sh", "-c", ASK]
    try:
        asked = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired as error:
        raise ProbeFailed(f"this device has not told for {_PATIENCE:g} s what it is and how it is") from error
    return sections(asked.stdout)


def sections(printed: str) -> Told:
    """What the script printed, apart. Empty where a section is missing."""
    found = dict.fromkeys(_SECTIONS, "")
    for part in f"\n{printed.replace(chr(13), '')}".split(f"\n{_MARK}")[1:]:
        name, _, text = part.partition("\n")
        found[name.strip()] = text
    return found


def properties(told: Told) -> dict[str, str]:
    """What `getprop` has."""
    return dict(_PROPERTY.findall(told["properties"]))


def abis(told: Told) -> list[str]:
    """The binary interfaces that it runs, the best first: `arm64-v8a`."""
    known = properties(told)
    listed = known.get("ro.product.cpu.abilist") or known.get("ro.product.cpu.abi") or ""
    return [abi for abi in listed.split(",") if abi]


def identity(told: Told) -> dict[str, Any]:
    """What decides how fast it is: the same at every call, until it is updated."""
    known = properties(told)
    cpu = dict(_pairs(told["cpuinfo"], ":"))
    chip = [known.get("ro.soc.manufacturer", ""), known.get("ro.soc.model", "")]
    name = " ".join(part for part in chip if part) or cpu.get("Hardware") or known.get("ro.hardware")
    maker = known.get("ro.product.manufacturer"), known.get("ro.product.model")
    release = known.get("ro.build.version.release", "")
    return {
        # a board that has adbd and no Android has none of these properties
        "cpu": name or cpuinfo.name(cpu) or "unknown",
        "model": " ".join(filter(None, maker)) or told.get("board", "").strip(),
        "machine": told["machine"].strip() or (abis(told) or ["unknown"])[0],
        "abi": abis(told),
        "isa": telling(cpu.get("Features") or cpu.get("flags") or ""),
        "cores": _integer(told["cores"]),
        "system": f"Android {release}".strip(),
        "build": known.get("ro.build.fingerprint", ""),
        "emulated": emulated(known),
    }


def emulated(known: Mapping[str, str]) -> bool:
    """Whether it is an emulator that runs, by its properties."""
    told = "1" in (known.get("ro.kernel.qemu"), known.get("ro.boot.qemu"))
    return told or known.get("ro.hardware") in _EMULATORS


def conditions(told: Told) -> dict[str, Any]:
    """What may be another at the next call. None: not told.

    `thermal_status` is Android's own, 0 for none
    (https://source.android.com/docs/core/power/thermal-mitigation).
    """
    zones = {name: _integer(value) for name, value in _pairs(told["zones"], "=")}
    hottest = [value for value in zones.values() if value is not None] or _hottest(told["thermal"])
    status = _STATUS.search(told["thermal"])
    battery = {name.strip(): value for name, value in _pairs(told["battery"], ":")}
    powered = [value for name, value in battery.items() if name.endswith("powered")]
    awake = dict(_pairs(told["power"], "=")).get("mWakefulness")
    return {
        "load": _first(told["load"]),
        "governor": _all(told["governors"]),
        "frequency_khz": _all(told["frequencies"]),
        "temperature_millicelsius": str(max(hottest)) if hottest else None,
        "thermal_status": None if status is None else int(status[1]),
        "battery_percent": _integer(battery.get("level", "")),
        "charging": "true" in powered if powered else None,
        "screen": None if awake is None else ("on" if awake == "Awake" else "off"),
        "throttling": {"cooling": _slowed(None if status is None else int(status[1]))},
    }


def added(own: Mapping[str, Any], told: Told) -> dict[str, Any]:
    """The conditions that Linux tells, with those that only Android does."""
    found = conditions(told)
    slowed = {**own["throttling"], "cooling": [*own["throttling"]["cooling"], *found["throttling"]["cooling"]]}
    return {**own, **{name: value for name, value in found.items() if value is not None}, "throttling": slowed}


def _slowed(status: int | None) -> list[str]:
    """As `slowing.state` tells it."""
    return [] if status is None or status < _SLOWED else [f"Android's thermal status {status}"]


def _hottest(thermal: str) -> list[int]:
    """In thousandths of a degree; what was read long ago stands before what is read now, and does not count."""
    _, _, now = thermal.partition(_CURRENT)
    found = [float(value) for value, _ in _TEMPERATURE.findall(now.partition("cooling devices")[0])]
    return [round(value * _MILLI) for value in found if value > _COLDEST]


def _pairs(text: str, between: str) -> list[tuple[str, str]]:
    parted = (line.partition(between) for line in text.splitlines())
    return [(name.strip(), value.strip()) for name, found, value in parted if found]


def _all(text: str) -> str | None:
    """One word of all cores where they agree, else those that differ, from the first core on."""
    return ", ".join(dict.fromkeys(text.split())) or None


def _first(text: str) -> float | None:
    try:
        return float(text.split()[0])
    except (ValueError, IndexError):
        return None


def _integer(text: str) -> int | None:
    text = text.strip()
    return int(text) if re.fullmatch(r"-?\d+", text) else None
