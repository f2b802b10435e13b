"""The user's own code on a device: unpacked from the sources that came with the job, found, called, its failures told.

Nothing but those sources, what is installed here and Python itself is found, here as on every other machine.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import tempfile
import threading
import traceback
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from makeweight_probe import ProbeFailed

PATIENCE = 120.0
"""Seconds that the user's code has for one sample until it is given up."""


class CodeFailed(ProbeFailed):
    """The user's code does not do what it should; the message begins with file and line where they are known."""


class PackageLacking(ProbeFailed):
    """The user's code imports what is not here: `package` as it is imported, `by` whom."""

    def __init__(self, package: str, by: str) -> None:
        super().__init__(f"{by} needs `{package}`, which is neither among `sources` nor installed here")
        self.package, self.by = package, by


class _TooLong(BaseException):
    """Nothing that catches every `Exception` catches it."""


@contextlib.contextmanager
def unpacked(sources: str) -> Iterator[Path]:
    """The folder that sources are unpacked into: first on the path after Python's own modules, and the one that code
    runs in, so that it opens the files beside it by the paths that it has at home."""
    with tempfile.TemporaryDirectory(prefix="makeweight-sources-") as name:
        folder = Path(name).resolve()
        with zipfile.ZipFile(sources) as archive:
            archive.extractall(folder)
        before = list(sys.path)
        _put_on_path(str(folder))
        try:
            with contextlib.chdir(folder):
                yield folder
        finally:
            sys.path[:] = before


def _put_on_path(folder: str) -> None:
    # a harmless `queue.py` of the user's must not be what a runtime gets for Python's
    library = Path(os.__file__).parent
    pythons = [i for i, entry in enumerate(sys.path) if Path(entry) in (library, library / "lib-dynload")]
    sys.path.insert(max(pythons, default=-1) + 1, folder)


def find(dotted: str, folder: Path, name: str) -> Callable[..., Any]:
    """The callable behind `module:callable`.

    Args:
        name: what it is declared as, `preprocess`.

    Raises:
        CodeFailed: there is none of that name, or importing it fails.
        PackageLacking: it imports what is not here.
    """
    module, _, attribute = dotted.partition(":")
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names and ((folder / top).is_dir() or (folder / f"{top}.py").exists()):
        raise CodeFailed(f"pipeline.{name}: `{top}` is a module of Python's own, which is found first; rename yours")
    try:
        with _patient(f"importing `{module}`"):
            found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        if module == missing or module.startswith(f"{missing}."):
            raise CodeFailed(
                f"pipeline.{name}: there is no module `{missing}` among `sources`, which are all that goes to a device"
            ) from error
        raise PackageLacking(missing.partition(".")[0], name) from error
    except (Exception, SystemExit) as error:
        raise _told(f"importing `{module}`", error, folder) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise CodeFailed(f"pipeline.{name}: `{module}` has no `{attribute}`")
        found = getattr(found, part)
    if not callable(found):
        raise CodeFailed(f"pipeline.{name}: `{dotted}` is not callable, but of type {type(found).__name__}")
    called: Callable[..., Any] = found
    return called


def call(function: Callable[..., Any], *arguments: Any, name: str, folder: Path) -> Any:
    """Call the user's function, which has so long for it as `PATIENCE` says.

    Raises:
        CodeFailed: whatever it raised, with the line of the user's code that it came from.
        PackageLacking: only now it imports what is not here.
    """
    try:
        with _patient(name):
            return function(*arguments)
    except CodeFailed:
        raise
    except ModuleNotFoundError as error:
        if error.name is None or (folder / error.name.partition(".")[0]).exists():
            raise _told(name, error, folder) from error
        raise PackageLacking(error.name.partition(".")[0], name) from error
    except (Exception, SystemExit) as error:  # sys.exit(0) in a script must not read as our success
        raise _told(name, error, folder) from error


def _told(doing: str, error: BaseException, folder: Path) -> CodeFailed:
    where = place(error, folder)
    said = " ".join(f"{error}".split())
    return CodeFailed(f"{where + ': ' if where else ''}{doing} raised {type(error).__name__}: {said}".rstrip(": "))


def place(error: BaseException, folder: Path) -> str | None:
    """`file:line` of the innermost frame within the sources, or None."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_relative_to(folder):
        return f"{Path(error.filename).relative_to(folder)}:{error.lineno}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(folder):
            return f"{path.relative_to(folder)}:{frame.lineno}"
    return None


@contextlib.contextmanager
def _patient(doing: str) -> Iterator[None]:
    """Give up what does not return. Only in a main thread, on a system that has alarms."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_: object) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    except _TooLong:
        raise CodeFailed(f"{doing} has not returned after {PATIENCE:g} s") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
