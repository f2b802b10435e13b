"""A remark on one line of a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["failure", "warning", "notice"]


@dataclass(frozen=True)
class Annotation:
    path: str
    """Relative to the root of the repository, with forward slashes."""
    line: int
    """From 1."""
    level: Level
    title: str
    message: str
    """Plain text; GitHub shows no Markdown here."""
