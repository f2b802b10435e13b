"""One file per runtime: open a model file and run it, with numpy and the runtime alone. And how one is found by name.

A third party offers the sessions of its runtime by an entry point of the group `makeweight.sessions`: the runtime's
name, and a module that has what `Sessions` says.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import cast

from makeweight_probe import ProbeFailed
from makeweight_probe.session import Profiling, Sessions

GROUP = "makeweight.sessions"
_EXTRAS = {"onnxruntime": "onnx"}
"""The extra that brings a runtime, where it has another name."""


class NoSession(ProbeFailed):
    """Nobody here opens models of that runtime."""


def find(runtime: str) -> Sessions:
    """The sessions of a runtime that is installed.

    Raises:
        NoSession: the name is unknown here, or what it stands on is not installed.
    """
    try:
        found = _load(runtime)
        found.version()
    except ImportError as error:
        bring = _bring(runtime)
        raise NoSession(f"the runtime `{runtime}` is not installed here: {error}. {bring}") from error
    return found


def profiling(runtime: str) -> Profiling | str:
    """What opens the models of an installed runtime so that it tells what its operators take; or why it does not.

    Raises:
        NoSession: see `find`.
    """
    found = find(runtime)
    if hasattr(found, "open_profiled"):
        return cast(Profiling, found)
    return str(getattr(found, "NO_PROFILE", f"the sessions of `{runtime}` offer no profile"))


def _bring(runtime: str) -> str:
    """What brings the runtime of sessions that are known here."""
    if runtime in _built_in():
        return f"`pip install 'makeweight[{_EXTRAS.get(runtime, runtime)}]'` there"
    (entry, *_) = entry_points(group=GROUP, name=runtime)
    return f"`pip install {entry.dist.name}` there" if entry.dist else "Install what it stands on there"


def versions() -> dict[str, str]:
    """The runtimes that are installed here, by name."""
    found = {}
    for name in _names():
        try:
            found[name] = _load(name).version()
        except ImportError:
            continue
    return found


def _load(runtime: str) -> Sessions:
    if runtime in _built_in():
        return cast(Sessions, importlib.import_module(f"{__name__}.{runtime}"))
    for entry in entry_points(group=GROUP, name=runtime):
        return cast(Sessions, entry.load())
    known = ", ".join(_names())
    raise NoSession(f"the probe knows no runtime `{runtime}` here; it knows {known}, and those of the group {GROUP}")


def _names() -> Iterator[str]:
    yield from _built_in()
    yield from sorted({entry.name for entry in entry_points(group=GROUP)} - set(_built_in()))


def _built_in() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(__path__))
