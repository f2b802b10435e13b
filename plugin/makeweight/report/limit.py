"""How long a text may be where it is to be shown, and how its length is counted there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """So many units of a measure."""

    size: int
    measure: Callable[[str], int]


def _utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _utf8(text: str) -> int:
    return len(text.encode())


COMMENT = Limit(65_536, _utf16)
"""A comment on GitHub, which counts characters as UTF-16 does."""
CHECK = Limit(65_535, _utf8)
"""The summary of a check run: GitHub says characters, and counts bytes of UTF-8."""
SUMMARY = Limit(2**20, _utf8)
"""The job summary of one step: bytes of UTF-8 (docs.github.com, Workflow commands, Step isolation and limits)."""
