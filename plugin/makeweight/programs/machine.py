"""Which kind of processor a program is made for, by its ELF header (https://man7.org/linux/man-pages/man5/elf.5.html)."""

from __future__ import annotations

from pathlib import Path

_MAGIC = b"\x7fELF"
_ORDER_AT, _MACHINE_AT = 5, 18
_ABIS = {3: "x86", 40: "armeabi-v7a", 62: "x86_64", 183: "arm64-v8a", 243: "riscv64"}
"""Android's names for them."""


def abi_of(program: Path) -> str | None:
    """As Android calls it; None: no ELF file, such as a script, or of a kind that Android does not run on.

    Raises:
        OSError: the file cannot be read.
    """
    with program.open("rb") as file:
        header = file.read(_MACHINE_AT + 2)
    if len(header) < _MACHINE_AT + 2 or not header.startswith(_MAGIC):
        return None
    machine = int.from_bytes(header[_MACHINE_AT:], "little" if header[_ORDER_AT] == 1 else "big")
    return _ABIS.get(machine, f"ELF machine {machine}")


def runs_on(abi: str, listed: list[str]) -> bool:
    """Whether a device whose interfaces are listed runs it. `armeabi` is an older name of what `armeabi-v7a` runs."""
    return abi in listed or (abi == "armeabi-v7a" and "armeabi" in listed)
