"""What a Mac says of itself, by sysctl(8): its /proc is none."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from typing import Any

_SYSCTL = "/usr/sbin/sysctl"
_PATIENCE = 5.0
_NAME, _MODEL, _TRANSLATED = "machdep.cpu.brand_string", "hw.model", "sysctl.proc_translated"
# https://developer.apple.com/documentation/kernel/1387446-sysctlbyname/determining_instruction_set_characteristics
_FEATURES = {
    "hw.optional.arm.FEAT_DotProd": ("asimddp",),
    "hw.optional.arm.FEAT_I8MM": ("i8mm",),
    "hw.optional.arm.FEAT_BF16": ("bf16",),
    "hw.optional.arm.FEAT_FP16": ("fphp", "asimdhp"),
    "hw.optional.avx2_0": ("avx2",),
    "hw.optional.fma": ("fma",),
    "hw.optional.avx512f": ("avx512f",),
}
"""Instruction sets as `isa.py` names them."""

Told = Mapping[str, str]


def told_here() -> Told | None:
    """What it says, by name; None: it is no Mac, or tells nothing."""
    if platform.system() != "Darwin":
        return None
    asked = [_SYSCTL, _NAME, _MODEL, _TRANSLATED, *_FEATURES]
    try:
        # it fails where one of them is unknown to it, and tells the others
        done = subprocess.run(asked, capture_output=True, text=True, errors="replace", check=False, timeout=_PATIENCE)
    except (OSError, subprocess.SubprocessError):
        return None
    return parsed(done.stdout) or None


def parsed(printed: str) -> dict[str, str]:
    lines = (line.partition(":") for line in printed.splitlines())
    return {name.strip(): value.strip() for name, found, value in lines if found}


def identity(told: Told) -> dict[str, Any]:
    """Which Mac it is, as far as it tells: `uname` has one word for all of an architecture. A program for Intel's
    processors that Rosetta translates is emulated."""
    isa = sorted({name for feature, names in _FEATURES.items() if told.get(feature) == "1" for name in names})
    found: dict[str, Any] = {"isa": isa, "emulated": told.get(_TRANSLATED) == "1"}
    named = {"cpu": told.get(_NAME), "model": told.get(_MODEL)}
    return {**found, **{key: value for key, value in named.items() if value}}
