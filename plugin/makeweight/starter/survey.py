"""What lies in a project's folder that `makeweight init` can start from."""

from __future__ import annotations

import ast
import difflib
import importlib.util
import os
from pathlib import Path

from makeweight_base.errors import UsageError

# What pins the toolchain, best first.
_LOCKS = (
    "requirements.lock",
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "Pipfile.lock",
    "conda-lock.yml",
    "requirements.txt",
    "constraints.txt",
    "environment.yml",
)
_NOT_THE_USERS = frozenset(
    {"artifacts", "samples", "reports", "node_modules", "site-packages", "__pycache__", "venv", "env"}
)
_DEPTH = 4


def lock(root: Path) -> str | None:
    """The file that pins the toolchain."""
    return next((name for name in _LOCKS if (root / name).is_file()), None)


def files(root: Path, *suffixes: str) -> list[str]:
    """Files with one of these endings, relative to the root, not looking into environments and what tools made."""
    found: list[str] = []
    for folder, below, names in os.walk(root):
        here = Path(folder).relative_to(root)
        below[:] = [
            name
            for name in below
            if name not in _NOT_THE_USERS
            and not name.startswith(".")
            and len(here.parts) < _DEPTH
            and not Path(folder, name, "pyvenv.cfg").exists()
        ]
        found += [(here / name).as_posix() for name in names if name.endswith(suffixes)]
    return sorted(found)


def source_of(root: Path, dotted: str, option: str) -> str | None:
    """The user's file or package that holds `module:callable`, relative to the root; None for an installed one.

    Reads it without importing it, so that nothing of it runs yet.

    Raises:
        UsageError: there is no such module, or no such name in it.
    """
    module, colon, attribute = dotted.partition(":")
    if not (colon and all(part.isidentifier() for part in (*module.split("."), *attribute.split(".")))):
        raise UsageError(f"`{dotted}` is no `module:callable`, such as `digits.model:build`", where=option)
    parts = module.split(".")
    home = _home(root, parts[0])
    if home is None:
        if importlib.util.find_spec(parts[0]) is None:
            raise UsageError(
                f"there is no module `{parts[0]}` (looked in {root.resolve()} and the installed packages)",
                where=option,
                do="Mend the name, or run from the folder that holds it.",
            )
        return None
    file = home.joinpath(*parts).with_suffix(".py")
    file = file if file.is_file() else home.joinpath(*parts, "__init__.py")
    if not file.is_file():
        raise UsageError(f"there is no module `{module}`", where=option, do=f"Looked for {home.joinpath(*parts)}.py.")
    _check_name(file, attribute.split(".")[0], root, option)
    is_package = (home / parts[0]).is_dir()
    return (home / parts[0]).relative_to(root).as_posix() + ("/" if is_package else ".py")


def _home(root: Path, top: str) -> Path | None:
    """The folder within the root that a top-level module is imported from."""
    if (root / top).is_dir() or (root / f"{top}.py").is_file():
        return root
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None:
        return None
    place = Path(spec.origin)
    if not place.is_relative_to(root.resolve()) or "site-packages" in place.parts:
        return None
    inside = place.parent.parent if place.name == "__init__.py" else place.parent
    return root / inside.relative_to(root.resolve())


def _check_name(file: Path, name: str, root: Path, option: str) -> None:
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        raise UsageError(
            f"cannot be read: {error}", where=f"{file.relative_to(root)}:{getattr(error, 'lineno', None) or 1}"
        ) from error
    defined: set[str] = set()
    for statement in ast.walk(tree):
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined.add(statement.name)
        elif isinstance(statement, ast.Name) and isinstance(statement.ctx, ast.Store):
            defined.add(statement.id)
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            defined |= {(alias.asname or alias.name).split(".")[0] for alias in statement.names}
    if name in defined or "*" in defined or "__getattr__" in defined:
        return
    close = difflib.get_close_matches(name, sorted(defined), n=1)
    raise UsageError(
        f"{file.relative_to(root)} has no `{name}`" + (f"; did you mean `{close[0]}`?" if close else ""), where=option
    )
