"""What reads energy: one file per kind of meter. And how one is found.

A third party offers a meter by an entry point of the group `makeweight.meters`: its name, and a module that has what
`Meters` says.
"""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import entry_points
from typing import Protocol, cast

from makeweight_probe import ProbeFailed

GROUP = "makeweight.meters"


class NoMeter(Exception):
    """Energy cannot be read here; the message says why."""


class Meter(Protocol):
    """One that works. It reads all that hangs on it, other programs too."""

    source: str
    """What it reads: `RAPL package-0, dram`."""

    def joules(self) -> float:
        """Energy since a beginning that stays the same."""

    def close(self) -> None: ...


class Meters(Protocol):
    """A module that opens a kind of meter."""

    def open_meter(self) -> Meter:
        """Raises:
        NoMeter: there is none here, or it may not be read.
        """


def find(name: str | None) -> Meter:
    """The meter of that name, or the first one that can be read here.

    Raises:
        NoMeter: none can; with the reason of each.
        ProbeFailed: nobody knows the name.
    """
    brought = {entry.name: entry for entry in entry_points(group=GROUP)}
    built_in = sorted(module.name for module in pkgutil.iter_modules(__path__))
    known = [*sorted(brought.keys() - set(built_in)), *built_in]
    if name is not None and name not in known:
        raise ProbeFailed(
            f"no meter `{name}` is known here; there is {', '.join(known)}, and those of the group {GROUP}"
        )
    reasons = []
    for each in known if name is None else [name]:
        module = importlib.import_module(f"{__name__}.{each}") if each in built_in else brought[each].load()
        try:
            return cast(Meters, module).open_meter()
        except NoMeter as error:
            reasons.append(f"{each}: {error}")
    raise NoMeter("; ".join(reasons))
