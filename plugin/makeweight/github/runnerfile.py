"""The files that the runner reads after a step, each named by a variable of the environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from makeweight_base.errors import EnvironmentFailed, reason


def path(environ: Mapping[str, str], variable: str) -> Path | None:
    """Where the runner expects what `variable` stands for; None where no runner does."""
    name = environ.get(variable)
    return Path(name) if name else None


def append(file: Path, text: str) -> None:
    """Add to the file; what UTF-8 has no form for becomes question marks.

    Raises:
        EnvironmentFailed: the file cannot be written.
    """
    try:
        with file.open("ab") as opened:
            opened.write(text.encode("utf-8", "replace"))
    except OSError as error:
        raise EnvironmentFailed(
            f"could not write: {reason(error)}",
            where=str(file),
            do="The runner names this file; free some space on its disk, and run the job again.",
        ) from error
