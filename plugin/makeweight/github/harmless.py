"""Markdown of a stranger's made to show what it says, notify nobody and load nothing."""

from __future__ import annotations

import html
import re
import string
import unicodedata

_REFERENCE = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});", re.IGNORECASE)
# What would notify somebody, or leave a trace in another thread: @name, #12, GH-12, and a thread's address.
_REACHES_OUT = re.compile(
    r"@|&#35;|(?<!&)#(?=\d)|\bGH-(?=\d)|/(?=(?:issues|pulls?|discussions|commits?)/)", re.IGNORECASE
)
_IMAGE = re.compile(r"!(?=\[)|<(?=\s*(?:img|picture|source|video|audio|svg)\b)", re.IGNORECASE)
_APART = "\N{ZERO WIDTH SPACE}"


def harmless(text: str) -> str:
    spelt = _REFERENCE.sub(_spelt, text.replace("\r\n", "\n"))
    shown = "".join(c if c in "\n\t" or _shows(c) else " " for c in spelt)
    apart = _REACHES_OUT.sub(lambda found: f"{found[0]}{_APART}", shown)
    return _IMAGE.sub(lambda found: f"{found[0]}{_APART}", apart)


def _spelt(reference: re.Match[str]) -> str:
    """A character reference in one form if it hides a mark of Markdown's, else what it stands for.

    GitHub looks for names and numbers after the references are gone, so that none may be hidden in them.
    """
    stands_for = html.unescape(reference[0])
    hides = stands_for in string.punctuation and len(stands_for) == 1 and stands_for != "@"
    return f"&#{ord(stands_for)};" if hides else stands_for


def _shows(character: str) -> bool:
    """Not a control character, half of a character, or a mark that turns the writing direction round."""
    return unicodedata.category(character) not in ("Cc", "Cs") and unicodedata.bidirectional(character) not in (
        "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
    )  # fmt: skip
