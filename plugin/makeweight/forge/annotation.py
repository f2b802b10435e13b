"""A remark on one line of a file, which each forge shows in its own way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["failure", "warning", "notice"]
"""In the words of GitHub's checks."""


@dataclass(frozen=True)
class Annotation:
    """A remark on one line of a file."""

    path: str
    """Relative to the root of the repository, with forward slashes."""
    line: int
    """From 1."""
    level: Level
    title: str
    message: str
    """Plain text: no forge shows Markdown here."""
