"""What reads energy: one file per kind of meter. And how one is found.

A third party offers a meter by an entry point of the group `makeweight.meters`: its name, and a module that has what
`Meters` says.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Protocol, cast

from makeweight_probe import ProbeFailed, in_a_line
from makeweight_probe.power import NoMeter as NoMeter

GROUP = "makeweight.meters"


_LAST = ("battery",)
"""Read where nothing finer can be: it follows slowly, and has the screen and the radio in it."""


class Meter(Protocol):
    """One that works. It reads all that hangs on it, other programs too.

    Where it follows slowly, it has `seconds`: how long a block has to be for it.
    """

    source: str
    """What it reads: `RAPL package-0, dram`."""

    def joules(self) -> float:
        """Energy since a beginning that stays the same."""

    def close(self) -> None: ...


class Meters(Protocol):
    """A module that opens a kind of meter.

    Where it has `BY_NAME_ONLY = True`, it is opened where a device names it, and never because it is there: it does not
    read what runs the models here, or has to be told where it is.
    """

    def open_meter(self, **options: Any) -> Meter:
        """Args:
            options: what else the device says of it; none where none is said.

        Raises:
            NoMeter: there is none here, or it may not be read.
        """


Asked = str | Mapping[str, Any]
"""A meter by its name, or by its `kind` with options beside it."""


def find(asked: Asked | None) -> Meter:
    """The meter that is asked for, or the first one that can be read here.

    Raises:
        NoMeter: none can; with the reason of each.
        ProbeFailed: nobody knows the name, or it has no such options.
    """
    from importlib.metadata import entry_points

    brought = {entry.name: entry for entry in entry_points(group=GROUP)}
    known = [*sorted(brought.keys() - set(_built_in())), *_built_in()]
    name, options = parts(asked)
    if name is not None and name not in known:
        raise ProbeFailed(
            f"no meter `{name}` is known here; there is {', '.join(known)}, and those of the group {GROUP}"
        )
    reasons = []
    for each in known if name is None else [name]:
        try:
            module = _module(each) if each in _built_in() else brought[each].load()
            if name is None and getattr(module, "BY_NAME_ONLY", False):
                continue
            if (wrong := _misfit(each, module, options)) is not None:
                raise ProbeFailed(wrong)
            return cast(Meters, module).open_meter(**options)
        except NoMeter as error:
            reasons.append(f"{each}: {error}")
        except Exception as error:
            if each in _built_in() or isinstance(error, ProbeFailed):
                raise
            # somebody else's, which lacks something: the others may do
            reasons.append(f"{each}: it cannot be opened: {in_a_line(error)}")
    raise NoMeter("; ".join(reasons))


def objection(asked: Asked) -> str | None:
    """What is wrong with what is asked, as far as it can be told without the device: nothing of another's meters."""
    name, options = parts(asked)
    if name is None:
        return "a meter with options has a `kind`, the name of one"
    return _misfit(name, _module(name), options) if name in _built_in() else None


def parts(asked: Asked | None) -> tuple[str | None, dict[str, Any]]:
    """The name of a meter, None where none is said, and its options."""
    if asked is None or isinstance(asked, str):
        return asked, {}
    options = dict(asked)
    kind = options.pop("kind", None)
    return None if kind is None else str(kind), options


def _misfit(name: str, module: Any, options: Mapping[str, Any]) -> str | None:
    """Options that it does not have, or lacks: those of its function that can be given by name alone."""
    if isinstance(module, ModuleType):
        has = inspect.signature(module.open_meter).parameters.values()
        told = [each for each in has if each.kind is inspect.Parameter.KEYWORD_ONLY]
        unknown = sorted(options.keys() - {each.name for each in told})
        missing = [each.name for each in told if each.default is inspect.Parameter.empty and each.name not in options]
        if unknown:
            names = ", ".join(f"`{each.name}`" for each in told) or "none"
            return f"the meter `{name}` has no option `{unknown[0]}`; it has {names}"
        if missing:
            return f"the meter `{name}` needs `{missing[0]}`"
    return None


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{name}")


def _built_in() -> list[str]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return sorted(names, key=_LAST.__contains__)
