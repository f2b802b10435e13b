"""What /proc/cpuinfo tells of a processor, each architecture in words of its own; and whether another imitates it."""

from __future__ import annotations

from collections.abc import Mapping

_NAMES = ("model name", "Model Name", "cpu model", "uarch", "cpu")
"""What the name of a processor is called: on x86 and 32-bit Arm, LoongArch, MIPS, RISC-V, POWER."""
_OF_X86 = ("GenuineIntel", "AuthenticAMD", "HygonGenuine", "CentaurHauls")
_ARM, _X86 = ("arm", "aarch64"), ("x86_64", "i386", "i686", "AMD64")
_IMITATIONS = ("VirtualApple", "QEMU TCG CPU")
"""Names of x86 processors that are none: of Apple's Rosetta, and of qemu where it translates."""


def fields(told: str) -> dict[str, str]:
    """The first processor's."""
    block = told.split("\n\n", 1)[0]
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in block.splitlines())}


def name(cpu: Mapping[str, str]) -> str | None:
    """What the processor is called; one of Arm's architecture, which may have no name, by who made it and which of
    theirs it is, the numbers of its register MIDR_EL1. None: not told."""
    called = next((cpu[key] for key in _NAMES if cpu.get(key)), None)
    maker, part = cpu.get("CPU implementer"), cpu.get("CPU part")
    return called or (None if maker is None or part is None else f"Arm {part} by {maker}")


def imitated(machine: str, cpu: Mapping[str, str], modalias: str | None) -> bool:
    """Whether another processor imitates this one: it says that it is of one architecture, and the kernel beneath runs
    on another, as with qemu-user and in containers made for another architecture.

    Args:
        machine: as `uname -m` has it.
        cpu: see `fields`.
        modalias: what the kernel calls its processor, such as `cpu:type:x86,ven0000fam0006mod008F:feature:…`.
    """
    if (name(cpu) or "").startswith(_IMITATIONS):
        return True
    beneath = _beneath(cpu, modalias or "")
    return beneath is not None and beneath != _architecture(machine)


def flags(machine: str, cpu: Mapping[str, str], *, imitated: bool) -> str:
    """The features of the processor; of one that is imitated those of its own, and none of what imitates it."""
    own = cpu.get("flags" if _architecture(machine) == "x86" else "Features", "")
    return own if imitated else cpu.get("flags") or cpu.get("Features") or ""


def _beneath(cpu: Mapping[str, str], modalias: str) -> str | None:
    """The architecture that the kernel runs on, of those that imitate others. Where it says so itself, that counts:
    what imitates one may make its /proc/cpuinfo up."""
    if modalias.startswith("cpu:type:"):
        kind = modalias.removeprefix("cpu:type:")
        return "x86" if kind.startswith("x86") else "arm" if kind.startswith(_ARM) else None
    if cpu.get("vendor_id") in _OF_X86:
        return "x86"
    return "arm" if "CPU implementer" in cpu else None


def _architecture(machine: str) -> str:
    return "x86" if machine in _X86 else "arm" if machine.startswith(_ARM) else machine
