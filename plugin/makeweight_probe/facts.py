"""What a machine says of itself: what it is, and the state it is in."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from makeweight_probe import (
    android,
    cpuinfo,
    darwin,
    gpu,
    heat,
    kinds,
    quota,
    sessions,
    slowing,
    stolen,
    supply,
    sysfs,
)
from makeweight_probe.isa import telling
from makeweight_probe.job import CPU, FactsJob, Result

_CPUS = "/sys/devices/system/cpu"
_MODALIAS = f"{_CPUS}/modalias"
_BOARD = "/proc/device-tree/model"
"""Which board it is, such as a Raspberry Pi, where it has a device tree: https://www.devicetree.org/specifications/"""
_PROFILE = "/sys/firmware/acpi/platform_profile"
_JETSON = "/var/lib/nvpmodel/status"
_CACHES = Path(_CPUS, "cpu0/cache")
_ACCELERATORS: Mapping[str, Callable[[], dict[str, Any]]] = {"cuda": lambda: {"gpu": gpu.identity()}}
"""What computes beside the processor, by execution provider."""


def ask(job: FactsJob) -> Result:
    """Raises:
    NoSession, NoProvider: nothing here computes by what is to.
    ModuleNotFoundError: there is no numpy.
    """
    # nothing here takes it; but all that is asked later does, and then it would be late to say so
    if importlib.util.find_spec("numpy") is None:
        raise ModuleNotFoundError("No module named 'numpy'", name="numpy")
    return Result({}, {"identity": identity(job.execution_provider), "conditions": conditions()})


def identity(execution_provider: str = CPU) -> dict[str, Any]:
    """What decides how fast it is, as long as nobody changes the machine. Plain data, the same at every call.

    Args:
        execution_provider: what is to compute there. Where that is no processor, what it is stands beside the rest.

    Raises:
        NoSession, NoProvider: nothing here computes by it.
    """
    cpu, imitated, machine = _cpuinfo(), emulated_here(), platform.machine()
    own = {
        "cpu": cpuinfo.name(cpu) or platform.processor() or "unknown",
        "machine": machine,
        "isa": telling(cpuinfo.flags(machine, cpu, imitated=imitated)),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "runtimes": sessions.versions(),
        "emulated": imitated,
    }
    if (board := (sysfs.value(_BOARD) or "").strip("\0 \n")) and not imitated:
        own["model"] = board
    if "64" in machine and sys.maxsize < 1 << 32:
        own["bits"] = 32  # its kernel has 64, and what runs on it does not: another speed on the same board
    if (mac := darwin.told_here()) is not None:
        own |= darwin.identity(mac)
    if execution_provider != CPU:
        sessions.ready(execution_provider)
        own |= {"execution_provider": execution_provider, **_ACCELERATORS[execution_provider]()}
    told = android.told_here()
    return own if told is None else {**own, **android.identity(told)}


def emulated_here() -> bool:
    """Whether another processor imitates this one."""
    if (mac := darwin.told_here()) is not None:
        return bool(darwin.identity(mac)["emulated"])
    return cpuinfo.imitated(platform.machine(), _cpuinfo(), sysfs.value(_MODALIAS))


def conditions() -> dict[str, Any]:
    """What may be another at the next call: load, temperature, which processors this process may run on, of which kinds
    these are where they are several, governor and frequency of the first of these, the mode of power, the kernel, what
    slows it down or limits what it may compute, what its host takes of it. None: not told by this system."""
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    cpufreq = f"{_CPUS}/cpu{cpus[0] if cpus else 0}/cpufreq"
    own = {
        "load": _load(),
        "governor": sysfs.value(f"{cpufreq}/scaling_governor"),
        "frequency_khz": sysfs.value(f"{cpufreq}/scaling_cur_freq"),
        "temperature_millicelsius": heat.millicelsius(),
        "cpus": cpus,
        "kinds": kinds.among(cpus),
        "power_mode": _power_mode(cpufreq),
        "kernel": platform.release() or None,
        "throttling": {**slowing.state(used=cpus), "quota": quota.state()},
        "ticks": stolen.state(cpus),
    }
    told = android.told_here()
    return own if told is None else android.added(own, told)


def _power_mode(cpufreq: str) -> str | None:
    """What was chosen between speed and power: of a laptop, of its processor, of NVIDIA's Jetsons; and what it runs
    on."""
    told = (sysfs.value(path) for path in (_PROFILE, f"{cpufreq}/energy_performance_preference", _JETSON))
    return ", ".join(filter(None, (*told, supply.source()))) or None


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):  # Windows; a sandbox that hides it
        return None


def last_level_cache() -> int | None:
    """Bytes of the largest cache; None where the system does not tell (https://www.kernel.org/doc, sysfs `cache`)."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    sizes = []
    for place in sorted(_CACHES.glob("index*/size")):
        text = sysfs.value(place) or ""
        if text[:-1].isdigit() and text[-1] in units:
            sizes.append(int(text[:-1]) * units[text[-1]])
    return max(sizes, default=None)


def _cpuinfo() -> dict[str, str]:
    """The first processor of /proc/cpuinfo; empty where there is none."""
    try:
        return cpuinfo.fields(Path("/proc/cpuinfo").read_text(errors="replace"))
    except OSError:
        return {}
