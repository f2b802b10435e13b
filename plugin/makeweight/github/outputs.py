"""A step's outputs, for the steps and jobs after it: values may hold anything, and stay values."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping

from makeweight.github.runnerfile import append, path

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def write(environ: Mapping[str, str], values: Mapping[str, str]) -> bool:
    """Add outputs to the step; False where there is no runner to take them.

    Raises:
        EnvironmentFailed: the file cannot be written.
        ValueError: a name is none.
    """
    file = path(environ, "GITHUB_OUTPUT")
    if file is None:
        return False
    append(file, "".join(_entry(name, value) for name, value in values.items()))
    return True


def _entry(name: str, value: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"`{name}` is no name for an output")
    # A value that held the line which ends it could set outputs of its own: nobody can guess this one.
    end = f"makeweight_{secrets.token_hex(16)}"
    return f"{name}<<{end}\n{value}\n{end}\n"
