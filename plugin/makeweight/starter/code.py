"""The user's code: what a callable is made of, found without running any of it."""

from __future__ import annotations

import ast
import difflib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

from makeweight.config.settings import callable_path
from makeweight.user.callables import elsewhere
from makeweight_base.errors import UsageError


def sources_of(root: Path, dotted: str, option: str) -> list[str]:
    """The project's own files and packages that `module:callable` takes, relative to the root: the one that holds it,
    then those that it imports, at any depth. Of an installed one, none.

    Imports are read, so that one by a computed name is not seen; `baseline` refuses it when it runs.

    Raises:
        UsageError: there is no such module, or no such name in it.
    """
    try:
        callable_path(dotted)
    except ValueError as error:
        raise UsageError(str(error), where=option) from error
    module, _, attribute = dotted.partition(":")
    home = _home(root, module.partition(".")[0])
    if home is None:
        top = module.partition(".")[0]
        if importlib.util.find_spec(top) is None:
            raise UsageError(
                f"there is no module `{top}` (looked in {root.resolve()} and the installed packages)",
                where=option,
                do=elsewhere(root, top) or "Mend the name, or run from the folder that holds it.",
            )
        return []
    place = home.joinpath(*module.split("."))
    file = _file(place)
    if file is None:
        raise UsageError(f"there is no module `{module}`", where=option, do=f"Looked for {place}.py.")
    _check_name(file, attribute.split(".")[0], root, option)
    found: dict[str, None] = {}
    reached = {file: home}
    ahead = [file]
    for each in ahead:  # which grows meanwhile
        inside = each.relative_to(reached[each])
        top_level = reached[each] / inside.parts[0]
        found[top_level.relative_to(root).as_posix() + ("/" if len(inside.parts) > 1 else "")] = None
        for name in _imported(each, inside):
            if (of := _home(root, name.partition(".")[0])) is not None:
                new = {file: of for file in _modules(of, name) if file not in reached}
                reached |= new
                ahead += new
    return list(found)


def _imported(file: Path, inside: Path) -> Iterator[str]:
    """Dotted names that a module imports. Of `from a import b` also `a.b`, which may be a module.

    Args:
        inside: the file's path from the folder that its top-level module is imported from.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return  # told when it runs
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            around = inside.parts[: -statement.level] if statement.level else ()
            module = ".".join((*around, *([statement.module] if statement.module else [])))
            yield module
            yield from (f"{module}.{alias.name}" for alias in statement.names)


def _file(place: Path) -> Path | None:
    """Where the code of a module lies, the package first, as Python has it."""
    places = (place / "__init__.py", place.with_name(f"{place.name}.py"))
    return next((each for each in places if each.is_file()), None)


def _modules(home: Path, dotted: str) -> Iterator[Path]:
    """The files that importing `a.b.c` runs: those of `a`, `a.b` and `a.b.c`."""
    place = home
    for part in dotted.split("."):
        place = place / part
        if (file := _file(place)) is not None:
            yield file
        elif not place.is_dir():
            return


def _home(root: Path, top: str) -> Path | None:
    """The folder within the root that a top-level module is imported from."""
    if top in sys.stdlib_module_names or not top:
        return None
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
        tree = ast.parse(file.read_bytes())
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
