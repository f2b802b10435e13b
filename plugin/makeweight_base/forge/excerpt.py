"""Text cut to a length that is taken; Markdown at the end of a line, and with nothing left open."""

from __future__ import annotations

import re
from collections.abc import Callable

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_DETAILS = re.compile(r"<(/?)details\b[^>]*>", re.IGNORECASE)


def units(text: str) -> int:
    """Characters as UTF-16 counts them, which is never fewer than another count of characters gives."""
    return len(text) + sum(1 for c in text if ord(c) > 0xFFFF)


def octets(text: str) -> int:
    """Bytes in UTF-8."""
    return len(text.encode("utf-8", "replace"))


def cut(text: str, most: int, note: str, size: Callable[[str], int] = units) -> str:
    """`text` where its size is at most `most`, else as many whole lines as leave room for `note`, which follows them.

    A code block or a fold that the cut would leave open is closed, so that the note is seen. Where not even the note
    fits, nothing is left.
    """
    if size(text) <= most:
        return text
    best = note if size(note) <= most else ""
    length = used = folds = 0
    fence: str | None = None
    for line in text.split("\n"):
        length += len(line) + 1
        used += size(line) + 1
        if used > most:
            break
        fence = _fence(fence, line)
        if fence is None:
            folds = max(0, folds + sum(-1 if slash else 1 for slash in _DETAILS.findall(line)))
        closing = (f"{fence}\n" if fence else "") + "\n</details>" * folds + f"\n{note}"
        if used + size(closing) <= most:
            best = text[:length] + closing
    return best


def short(text: str, most: int) -> str:
    """One line of at most so many characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _fence(opened: str | None, line: str) -> str | None:
    """The marks that would end the code block which is open after this line (CommonMark 0.31, 4.5)."""
    found = _FENCE.match(line)
    if found is None:
        return opened
    marks, rest = found[1], found[2]
    if opened is None:
        return None if marks[0] == "`" and "`" in rest else marks
    return None if marks.startswith(opened) and not rest.strip() else opened
