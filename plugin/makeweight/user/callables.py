"""The user's own callables: found by `module:callable`, called, and their failures told with file and line."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from makeweight.runtimes.environment import out_of_memory
from makeweight.user import opened, ran
from makeweight_base.errors import MakeweightError, OutOfMemory, UsageError

_OURS = frozenset({"makeweight", "makeweight_base", "makeweight_probe"})
_stands: list[str] = []
"""The folder that the user's code has changed to; empty: none."""


def find(dotted: str, root: Path, *, where: str) -> Callable[..., Any]:
    """The callable behind `module:callable`, imported with the project's folder on the path.

    Args:
        where: what named it, such as `makeweight.yaml: data.load`; errors begin with it.

    Raises:
        UsageError: no such module or name, it is not callable, or importing it fails.
    """
    module_name, _, attribute = dotted.partition(":")
    folder = str(root.resolve())
    _put_on_path(folder)
    top = module_name.partition(".")[0]
    if (top in sys.stdlib_module_names or top in _OURS) and _holds(root, top):
        whose = "makeweight" if top in _OURS else "Python"
        raise UsageError(
            f"`{top}` is a module of {whose}'s own, which is found before the project's",
            where=where,
            do=f"Rename the project's `{top}`, and `{dotted}` with it.",
        )
    ran.watch()
    opened.watch()
    try:
        with _where_it_stands(), _gradients_as_before():
            target: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if module_name == missing or module_name.startswith(missing + "."):
            raise UsageError(
                f"there is no module `{missing}` (looked in {folder} and the installed packages)",
                where=where,
                do=elsewhere(root, top) or f"Mend `{dotted}`, or run from the folder that holds `{top}`.",
            ) from error
        line = place(error, root)
        raise _own(module_name, missing, line, root) or UsageError(
            f"`{module_name}` needs the package `{missing}`, which is not installed",
            where=line or where,
            do=f"Install `{missing}` in this environment.",
        ) from error
    except (Exception, SystemExit) as error:
        raise _told(f"importing `{module_name}`", error, root, where) from error
    for part in attribute.split("."):
        if not hasattr(target, part):
            close = difflib.get_close_matches(part, dir(target), n=1)
            near = f"; did you mean `{close[0]}`?" if close else ""
            raise UsageError(f"`{module_name}` has no `{attribute}`{near}", where=where, do=f"Mend `{dotted}`.")
        target = getattr(target, part)
    if not callable(target):
        raise UsageError(
            f"`{dotted}` is not callable, but of type {type(target).__name__}",
            where=where,
            do="Name a function or a class.",
        )
    called: Callable[..., Any] = target
    return called


def _holds(folder: Path, top: str) -> bool:
    """Whether a module or package of that name lies in a folder."""
    return (folder / top).is_dir() or (folder / f"{top}.py").is_file()


def elsewhere(root: Path, top: str) -> str | None:
    """What to do about a module that is not found, and lies in a folder of the project's, as in a src layout. None: it
    does not, or there is one of its name where modules are looked for."""
    if _holds(root, top):
        return None
    try:
        folders = sorted(place.name for place in root.iterdir() if place.is_dir() and not place.name.startswith("."))
    except OSError:
        return None
    within = next((name for name in folders if _holds(root / name, top)), None)
    if within is None:
        return None
    return (
        f"It lies in {within}/: install the project into this environment (`pip install -e .`), or put {within}/ on "
        "the PYTHONPATH wherever stages run."
    )


def _own(module: str, missing: str, line: str | None, root: Path) -> UsageError | None:
    """The refusal of a module that is the project's own and is not found; None: it is none of its own.

    Args:
        line: `file:line` that imports it.
    """
    if line is None:
        return None
    folder, top = root.resolve(), missing.partition(".")[0]
    beside = (folder / line.rpartition(":")[0]).parent
    if _holds(folder, top):
        return UsageError(
            f"there is no module `{missing}`", where=line, do="Mend the import, or install the package that has it."
        )
    if not _holds(beside, top):
        return None
    within = beside.relative_to(folder)
    return UsageError(
        f"`{module}` imports `{missing}`, which lies in {within.as_posix()}/, and modules are looked for in the "
        "project's folder",
        where=line,
        do=f"Import it as `{'.'.join((*within.parts, missing))}`, or put {within.as_posix()}/ on the PYTHONPATH.",
    )


@contextlib.contextmanager
def _where_it_stands() -> Iterator[None]:
    """Let the user's code stand in the folder that it has changed to, as many a module does when it is imported, and
    ours where it was called: a project's own paths begin there."""
    ours = _here()
    if _stands:
        with contextlib.suppress(OSError):
            os.chdir(_stands[0])
    try:
        yield
    finally:
        theirs = _here()
        if ours is not None and theirs != ours:
            os.chdir(ours)
            _stands[:] = [] if theirs is None else [theirs]
        else:
            _stands.clear()


@contextlib.contextmanager
def _gradients_as_before() -> Iterator[None]:
    """Have PyTorch record gradients afterwards where it did before: code that only asks a model may turn that off for
    all when it is imported, and nothing would learn any more."""
    torch = sys.modules.get("torch")
    recorded = torch is None or torch.is_grad_enabled()
    try:
        yield
    finally:
        torch = sys.modules.get("torch")
        if torch is not None and hasattr(torch, "set_grad_enabled") and torch.is_grad_enabled() != recorded:
            torch.set_grad_enabled(recorded)


def _here() -> str | None:
    """None: the folder is removed."""
    try:
        return os.getcwd()  # noqa: PTH109 - asked for every example, and a Path takes several times as long
    except FileNotFoundError:
        return None


def _put_on_path(folder: str) -> None:
    """Have the project's modules found after Python's own, and before those of installed packages.

    A script of the user's finds its neighbours before all else. But here much is imported after them: with the folder
    first, a harmless `queue.py` or `random.py` would be what torch and ONNX Runtime get for Python's. What is installed
    comes after it, because the user's code means its own `data` or `utils` whatever else there is. `python -m` and
    PYTHONPATH put the folder first themselves, so it is moved.
    """
    library = Path(os.__file__).parent
    sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry) != folder]
    pythons = [i for i, entry in enumerate(sys.path) if Path(entry) in (library, library / "lib-dynload")]
    sys.path.insert(max(pythons, default=-1) + 1, folder)


def call(function: Callable[..., Any], *arguments: Any, name: str, root: Path) -> Any:
    """Call the user's function.

    Raises:
        UsageError: whatever it raised, with the line of the user's code it came from.
        OutOfMemory: likewise, where that was it.
    """
    try:
        with _where_it_stands(), _gradients_as_before():
            return function(*arguments)
    except (UsageError, OutOfMemory):
        raise
    except (Exception, SystemExit) as error:  # a script's sys.exit(0) must not read as our success
        raise _told(f"`{name}`", error, root, _defined(function, root)) from error


def _told(doing: str, error: BaseException, root: Path, where: str | None) -> MakeweightError:
    if out_of_memory(error):
        return OutOfMemory(
            f"{doing} ran out of memory: {error or type(error).__name__}",
            where=place(error, root) or where,
            do="Have it take less at once, such as a smaller batch; or close something.",
        )
    return UsageError(
        f"{doing} raised {type(error).__name__}: {error}",
        where=place(error, root) or where,
        do="This is your own code; mend it there and run again.",
    )


def place(error: BaseException, root: Path) -> str | None:
    """`file:line` of the innermost frame within the project's folder, or None."""
    folder = root.resolve()
    if isinstance(error, SyntaxError) and error.filename:
        written = Path(error.filename)
        return f"{written.relative_to(folder) if written.is_relative_to(folder) else written}:{error.lineno}"
    frames = reversed(traceback.extract_tb(error.__traceback__))
    return next((line for frame in frames if (line := _line(frame.filename, frame.lineno, folder)) is not None), None)


def _defined(function: Callable[..., Any], root: Path) -> str | None:
    """`file:line` of where a callable of the project's begins: given other arguments than it takes, it is not run."""
    made = getattr(function, "__init__", None) if isinstance(function, type) else function
    code = getattr(made, "__code__", None)
    if code is None or Path(code.co_filename).is_relative_to(Path(__file__).parents[1]):
        return None
    return _line(code.co_filename, code.co_firstlineno, root.resolve())


def _line(file: str, number: int | None, folder: Path) -> str | None:
    """`file:line` as it is told; None for a file that is not the project's own."""
    path = Path(file)
    if not path.is_relative_to(folder) or "site-packages" in path.parts:
        return None
    return f"{path.relative_to(folder)}:{number}"
