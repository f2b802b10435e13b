"""What a step leaves in the runner's files: outputs for the steps and jobs after it, and a part of the summary page."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from makeweight_base.errors import EnvironmentFailed, reason
from makeweight_base.forge.excerpt import cut, octets

SUMMARY_LIMIT = 1024 * 1024
"""Bytes of one step's summary; GitHub drops the whole of a larger one (docs.github.com, "Workflow commands")."""
_CUT = "*More than a summary holds: the rest is in the report of the run.*"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def write_outputs(environ: Mapping[str, str], values: Mapping[str, str]) -> bool:
    """Add outputs, whose values may hold anything; False where there is no runner to take them.

    Raises:
        EnvironmentFailed: the file cannot be written.
        ValueError: a name is none.
    """
    return _append(environ.get("GITHUB_OUTPUT"), "".join(_entry(name, value) for name, value in values.items()))


def write_summary(environ: Mapping[str, str], text: str) -> bool:
    """Add Markdown, cut to what is left of the limit; False where there is no runner to show it.

    Raises:
        EnvironmentFailed: the file cannot be written.
    """
    file = environ.get("GITHUB_STEP_SUMMARY")
    written = Path(file).stat().st_size if file and Path(file).exists() else 0
    return _append(file, cut(text.rstrip("\n") + "\n", SUMMARY_LIMIT - written, _CUT, octets))


def _entry(name: str, value: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"`{name}` is no name for an output")
    # A value that held the line which ends it could set outputs of its own: nobody can guess this one.
    end = f"makeweight_{secrets.token_hex(16)}"
    return f"{name}<<{end}\n{value}\n{end}\n"


def _append(file: str | None, text: str) -> bool:
    """Add to a file of the runner's, if there is one; what UTF-8 has no form for becomes question marks."""
    if not file:
        return False
    try:
        with Path(file).open("ab") as opened:
            opened.write(text.encode("utf-8", "replace"))
    except OSError as error:
        raise EnvironmentFailed(
            f"could not write: {reason(error)}",
            where=file,
            do="The runner names this file; free some space on its disk, and run the job again.",
        ) from error
    return True
