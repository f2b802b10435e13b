"""One file per runtime: open a model file and run it, with numpy and the runtime alone. And how one is found by name.

A third party offers the sessions of its runtime by an entry point of the group `makeweight.sessions`: the runtime's
name, and a module that has what `Sessions` says.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator
from typing import Any, cast

from makeweight_probe import ProbeFailed
from makeweight_probe.job import CPU, Model
from makeweight_probe.session import Profiling, Session, Sessions

GROUP = "makeweight.sessions"
_EXTRAS = {"onnxruntime": "onnx"}
"""The extra that brings a runtime, where it has another name."""


class NoSession(ProbeFailed):
    """Nobody here opens models of that runtime."""


class NoProvider(ProbeFailed):
    """What a model is to be computed by, such as a GPU, is not to be had here."""


def opened(model: Model) -> Session:
    """Raises:
    NoSession: nobody here opens it.
    NoProvider: what it is to be computed by is not there.
    Exception: whatever the runtime raises.
    """
    return of(model).open_session(model.path, model.threads)


def of(model: Model) -> Sessions:
    """What opens a model where it is to be computed.

    Raises:
        NoSession: see `find`.
    """
    if model.execution_provider == CPU:
        return find(model.runtime)
    return elsewhere(model.runtime, model.execution_provider)


def find(runtime: str) -> Sessions:
    """The sessions of a runtime that is installed.

    Raises:
        NoSession: the name is unknown here, or what it stands on is not installed.
    """
    try:
        found = _load(runtime)
        if not _is_here(found):
            found.version()  # which says what there is not
    except ImportError as error:
        bring = _bring(runtime)
        raise NoSession(f"the runtime `{runtime}` is not installed here: {error}. {bring}") from error
    return found


def elsewhere(runtime: str, provider: str) -> Sessions:
    """The sessions of a runtime that computes elsewhere than on the processor.

    Raises:
        NoSession: it computes nothing there, or what it stands on is not installed.
    """
    find(runtime)
    found = _elsewhere(runtime, provider)
    if found is None:
        raise NoSession(f"the runtime `{runtime}` has no execution provider `{provider}`")
    try:
        found.version()
    except ImportError as error:
        raise NoSession(f"the runtime `{runtime}` has no execution provider `{provider}` here: {error}") from error
    return found


def computes_by(provider: str, runtime: str) -> bool:
    """Whether a runtime can, as far as its sessions are known here."""
    try:
        return provider == CPU or _elsewhere(runtime, provider) is not None
    except (ImportError, NoSession):
        return False


def ready(provider: str) -> None:
    """Whether some runtime here computes by it.

    Raises:
        NoSession: none does; with the reason of the first that could.
    """
    reasons = []
    for runtime in filter(functools.partial(computes_by, provider), _names()):
        try:
            elsewhere(runtime, provider)
        except NoSession as error:
            reasons.append(error)
        else:
            return
    raise reasons[0] if reasons else NoSession(f"no runtime here has an execution provider `{provider}`")


def packages(runtime: str, provider: str = CPU) -> tuple[str, ...] | None:
    """What pip installs for it; None: its sessions do not say.

    Raises:
        NoSession: nobody here knows the runtime.
    """
    found = find(runtime) if provider == CPU else _elsewhere(runtime, provider)
    told: tuple[str, ...] | None = getattr(found, "PACKAGES", None)
    return told


def profiling(model: Model) -> Profiling | str:
    """What opens a model where it is to be computed so that it tells what its operators take; or why it does not.

    Raises:
        NoSession: see `find`.
    """
    found = of(model)
    if hasattr(found, "open_profiled"):
        return cast(Profiling, found)
    return str(getattr(found, "NO_PROFILE", f"the sessions of `{model.runtime}` offer no profile"))


def _bring(runtime: str) -> str:
    """What brings the runtime of sessions that are known here."""
    if runtime in _built_in():
        return f"`pip install 'makeweight[{_EXTRAS.get(runtime, runtime)}]'` there"
    (entry, *_) = _entry_points(name=runtime)
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
    for entry in _entry_points(name=runtime):
        return cast(Sessions, entry.load())
    known = ", ".join(_names())
    raise NoSession(f"the probe knows no runtime `{runtime}` here; it knows {known}, and those of the group {GROUP}")


def _is_here(found: Sessions) -> bool:
    """Whether it is told at once that a runtime is installed, by the module that is its own."""
    module = getattr(found, "MODULE", None)
    return module is not None and importlib.util.find_spec(module) is not None


def _entry_points(name: str | None = None) -> Any:
    # with e-mail and all that it takes as long to import as half of numpy, and who opens models of a runtime that is
    # built in needs none of it
    from importlib.metadata import entry_points

    return entry_points(group=GROUP) if name is None else entry_points(group=GROUP, name=name)


def _elsewhere(runtime: str, provider: str) -> Sessions | None:
    place = getattr(_load(runtime), "EXECUTION_PROVIDERS", {}).get(provider)
    return None if place is None else cast(Sessions, importlib.import_module(place))


def _names() -> Iterator[str]:
    yield from _built_in()
    yield from sorted({entry.name for entry in _entry_points()} - set(_built_in()))


def _built_in() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(__path__))
