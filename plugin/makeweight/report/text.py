"""Text that comes from elsewhere (names, reasons, sentences), made safe for each place where it is shown."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from urllib.parse import quote, urlsplit

_CODE = re.compile(r"`([^`\n]+)`")
# Entities stand for themselves and never for structure (CommonMark 0.31, 2.5), so nothing hides in them.
_MARKDOWN = {**{mark: f"&#{ord(mark)};" for mark in "|*`\\~"}, "&": "&amp;", "<": "&lt;", ">": "&gt;"}
# GitHub looks for these two after Markdown is done: a mention would notify somebody, dollars would become mathematics.
_GITHUB = {"@": "<code>@</code>", "$": "<span>$</span>"}
_INLINE = str.maketrans({**_MARKDOWN, **_GITHUB})
_UNIT = re.compile(r"(?<=\d) (?=(?:%|pt|[kMG]?B|[num]?s|[um]?J|/s)(?!\w)|(?:more|waived)\))")
_LINE_START = re.compile(r"(#{1,6}|[+-]|\d+[.)])(?=\s|$)|[=-]+$")
_LINK = re.compile(r"\](?=[(\[:])")
# What RFC 3986 allows, less the marks that end or change a link in Markdown; a bracketed host is not worth the risk.
_ADDRESS = "%/:?#@!$&+,;=-._~"
# GitHub makes links of these by itself; behind an entity it does not see them.
_BARE = re.compile(r"://|www\.", re.IGNORECASE)
_CONTROL = ("Cc", "Cs", "Zl", "Zp")
_TURNING = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")


def plain(text: object) -> str:
    """One line without control characters or marks that turn the writing direction round."""
    shown = str(text)
    odd = [c for c in set(shown) if unicodedata.category(c) in _CONTROL or unicodedata.bidirectional(c) in _TURNING]
    kept = shown.translate(dict.fromkeys(map(ord, odd), " "))
    return re.sub(" +", " ", kept).strip(" ")


def unbroken(text: str) -> str:
    """Figures and their units, `(+2 more)` and `(1 waived)`, joined by spaces at which no line breaks."""
    return _UNIT.sub("\N{NO-BREAK SPACE}", text)


def markdown(text: object) -> str:
    """Text for GitHub-flavoured Markdown, in a table or out of it, that reads as it stands."""
    line = plain(text)
    start = _LINE_START.match(line)
    if start is None:
        return _inline(line)
    return "".join(c if c.isalnum() else f"&#{ord(c)};" for c in start[0]) + _inline(line[start.end() :])


def markdown_code(text: object) -> str:
    """A name in code type: an element where backticks could not hold it in a table."""
    line = plain(text)
    if re.fullmatch(r"[^`|$\\<>]+", line):
        return f"`{line}`"
    safe = _unlinked("".join(_MARKDOWN.get(c, c) for c in line))
    return f"<code>{safe.replace('_', '&#95;')}</code>"


def markdown_prose(text: object) -> str:
    """A sentence whose names stand in backticks."""
    first, *rest = _CODE.split(plain(text))
    return markdown(first) + (" " if first.endswith(" ") else "") + _joined(rest, markdown_code, _inline)


def html_prose(text: object) -> str:
    """A sentence whose names stand in backticks, as escaped HTML."""
    first, *rest = _CODE.split(plain(text))
    return html.escape(first) + _joined(rest, lambda name: f"<code>{html.escape(name)}</code>", html.escape)


def _joined(pieces: list[str], code: Callable[[str], str], between: Callable[[str], str]) -> str:
    return "".join((between if odd % 2 else code)(piece) for odd, piece in enumerate(pieces))


def _inline(line: str) -> str:
    safe = _unlinked(line.translate(_INLINE))
    return _UNDERSCORE.sub("&#95;", _LINK.sub("&#93;", safe))


def _unlinked(text: str) -> str:
    return _BARE.sub(lambda found: "&#58;//" if found[0] == "://" else f"{found[0][:-1]}&#46;", text)


def address(url: str) -> str | None:
    """A web address as it may stand in Markdown and in an attribute; None for what is none, such as `javascript:`."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    # `%` stays: what is escaped already is not escaped twice
    return quote(url, safe=_ADDRESS)


def markdown_link(label: object, url: str) -> str:
    """A link, or its label alone where the address is none."""
    safe, shown = address(url), markdown(label)
    if safe is None:
        return shown
    # between brackets every bracket counts
    return f"[{shown.replace('[', '&#91;').replace(']', '&#93;')}]({safe})"


def elided(text: object, most: int) -> str:
    """`text` in at most so many characters, the middle left out: names differ at their ends."""
    line = plain(text)
    if len(line) <= most:
        return line
    head = (most - 1) // 2
    return f"{line[:head]}…{line[len(line) - (most - 1 - head) :]}"
