"""Which rails of a board make up the whole of it, by the names that NVIDIA's Jetsons give theirs, Corsair's power
supplies, and Apple's machines under Linux."""

from __future__ import annotations

from collections.abc import Iterable

# All others hang on one of these: with it, they would count twice.
_WHOLE = ("VDD_IN", "POM_5V_IN", "power total", "Total System Power")
# These hang on another rail that is told too: the memory of an AGX Orin on its VIN_SYS_5V0.
_WITHIN = {"VDDQ_VDD2_1V8AO": "VIN_SYS_5V0"}


def counting(names: Iterable[str]) -> list[str]:
    """Those that add up to the board: the rail of the whole where there is one, else all that hang on no other."""
    there = list(names)
    whole = [name for name in there if name in _WHOLE]
    return whole or [name for name in there if _WITHIN.get(name) not in there]
