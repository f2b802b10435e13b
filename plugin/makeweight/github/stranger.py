"""A stranger's Markdown, made to show what it says: it leads nowhere, loads nothing, and notifies nobody.

Whatever could begin a link, a picture, an element, a name or a number of GitHub's is set apart by a space of no width,
which shows nowhere, in code as little as in text. What is let through is let through whole: the links to a run of the
repository itself, the elements of a report, and its chart.

Source: CommonMark 0.31 (2.5, 4.6, 4.7, 6.3 to 6.6), GitHub Flavored Markdown 0.29 (6.9), docs.github.com, "Autolinked
references and URLs" and "Creating diagrams".
"""

from __future__ import annotations

import html
import re
import string
import unicodedata

_APART = "\N{ZERO WIDTH SPACE}"
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});", re.IGNORECASE)
# Without a semicolon it is a reference to HTML still, which is what stands within an element.
_HALF_ENTITY = re.compile(r"&(?!#\d{1,7};)")
_JOINING = "#-/:."
"""Marks that, where an entity stands for them, belong to what follows once the entities are gone."""
# Where each of these stands, what follows is set apart from it.
_BEGINS = re.compile(
    r"\](?=[(\[:])"  # a link, a picture, what a link refers to
    r"|!(?=\[)"
    r"|<(?!/?(?:details|summary|sub|code|br|span)>)"  # any other element, a link in angle brackets
    r"|/(?=/)|www(?=\.)"  # an address without any marks
    r"|@|(?<!&)#(?=[^\s#])|GH-(?=\d)"  # a name; a number of an issue
    r"|/(?=(?:issues|pulls?|discussions|commits?)/)"
    r"|(?:`{3,}|~{3,})(?=[ \t]*[^\s`~])"  # a picture that is drawn of code
    r"|\\(?=[A-Za-z])",  # a command of mathematics
    re.IGNORECASE,
)
_TEXT = r"[\w .,+%()/-]+"
_CHART = (
    r"^```mermaid\nquadrantChart\n"
    rf'(?:    (?:title {_TEXT}|[xy]-axis "{_TEXT}" --> "{_TEXT}"|"{_TEXT}": \[[01]\.\d{{3}}, [01]\.\d{{3}}\])\n)+```$'
)


def harmless(text: str, repository: str) -> str:
    """The text, safe to be shown as a comment of ours.

    Args:
        repository: the address of the one whose runs may be linked to.
    """
    shown = "".join(c if c in "\n\t" or _shows(c) else " " for c in text.replace("\r\n", "\n"))
    run = rf"(?<![!\\])\[[A-Za-z0-9 ]{{1,40}}\]\({re.escape(repository)}/actions/runs/\d{{1,20}}\)"
    kept = re.compile(rf"({_CHART}|{run})", re.MULTILINE)
    return "".join(piece if odd % 2 else _inert(piece) for odd, piece in enumerate(kept.split(shown)))


def _inert(text: str) -> str:
    spelt = _HALF_ENTITY.sub(f"&{_APART}", _ENTITY.sub(_spelt, text))
    return _BEGINS.sub(lambda found: f"{found[0]}{_APART}", spelt)


def _spelt(entity: re.Match[str]) -> str:
    """A character reference in one form if it hides a mark of Markdown's, else what it stands for.

    GitHub looks for names and numbers after the references are gone, so that none may be hidden in them.
    """
    stands_for = html.unescape(entity[0])
    if stands_for == "@" or len(stands_for) != 1 or stands_for not in string.punctuation:
        return "".join(c if _shows(c) else " " for c in stands_for)
    return f"&#{ord(stands_for)};{_APART if stands_for in _JOINING else ''}"


def _shows(character: str) -> bool:
    """Not a control character, half of a character, or a mark that turns the writing direction round."""
    return unicodedata.category(character) not in ("Cc", "Cs") and unicodedata.bidirectional(character) not in (
        "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
    )  # fmt: skip
