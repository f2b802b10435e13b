"""What a machine says of itself: what it is, and the state it is in."""

from __future__ import annotations

import importlib.util
import os
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from makeweight_probe import android, gpu, heat, quota, sessions, slowing, sysfs
from makeweight_probe.isa import telling
from makeweight_probe.job import CPU, FactsJob, Result

_CPUS = "/sys/devices/system/cpu"
_MODALIAS = f"{_CPUS}/modalias"
_BOARD = "/proc/device-tree/model"
"""Which board it is, such as a Raspberry Pi, where it has a device tree: https://www.devicetree.org/specifications/"""
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
    cpu, imitated = _cpuinfo(), emulated_here()
    # the flags of what imitates it are not its own
    flags = cpu.get("Features", "") if imitated else cpu.get("flags") or cpu.get("Features") or ""
    own = {
        "cpu": cpu.get("model name") or _of_arm(cpu) or platform.processor() or "unknown",
        "machine": platform.machine(),
        "isa": telling(flags),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "runtimes": sessions.versions(),
        "emulated": imitated,
    }
    if (board := (sysfs.value(_BOARD) or "").strip("\0 \n")) and not imitated:
        own["model"] = board
    if execution_provider != CPU:
        sessions.ready(execution_provider)
        own |= {"execution_provider": execution_provider, **_ACCELERATORS[execution_provider]()}
    told = android.told_here()
    return own if told is None else {**own, **android.identity(told)}


def _of_arm(cpu: Mapping[str, str]) -> str | None:
    """What a processor of Arm's architecture is, which has no name: who made it, and which of theirs it is, by the
    numbers of its register MIDR_EL1. None: it is none."""
    maker, part = cpu.get("CPU implementer"), cpu.get("CPU part")
    return None if maker is None or part is None else f"Arm {part} by {maker}"


def emulated_here() -> bool:
    """Whether another processor imitates this one, see `emulated`."""
    return emulated(platform.machine(), _cpuinfo().get("vendor_id"), sysfs.value(_MODALIAS))


def emulated(machine: str, vendor: str | None, modalias: str | None) -> bool:
    """Whether another processor imitates this one: it says that it is no x86, and the kernel beneath runs on one.

    Args:
        machine: as `uname -m` has it.
        vendor: `vendor_id` in /proc/cpuinfo.
        modalias: what the kernel calls its processor, such as `cpu:type:x86,ven0000fam0006mod008F:feature:…`.
    """
    on_x86 = vendor in ("GenuineIntel", "AuthenticAMD") or (modalias or "").startswith("cpu:type:x86")
    return on_x86 and machine not in ("x86_64", "i386", "i686", "AMD64")


def conditions() -> dict[str, Any]:
    """What may be another at the next call: load, temperature, which processors this process may run on, governor and
    frequency of the first of these, what slows it down or limits what it may compute. None: not told by this system."""
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    cpufreq = f"{_CPUS}/cpu{cpus[0] if cpus else 0}/cpufreq"
    own = {
        "load": _load(),
        "governor": sysfs.value(f"{cpufreq}/scaling_governor"),
        "frequency_khz": sysfs.value(f"{cpufreq}/scaling_cur_freq"),
        "temperature_millicelsius": heat.millicelsius(),
        "cpus": cpus,
        "throttling": {**slowing.state(used=cpus), "quota": quota.state()},
    }
    told = android.told_here()
    return own if told is None else android.added(own, told)


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
        block = Path("/proc/cpuinfo").read_text(errors="replace").split("\n\n", 1)[0]
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in block.splitlines())}
