"""Which series an expression reads, as far as its text tells."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping

_QUOTED = re.compile(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`""")
_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_SELECTED = re.compile(r"""__name__\s*(?:=~?)\s*["'`]""")


@functools.lru_cache(maxsize=1024)
def words(expression: str) -> frozenset[str]:
    """Everything in it that could be the name of a series: functions and labels too."""
    return frozenset(_NAME.findall(_QUOTED.sub(" ", expression)))


def chooses_by_pattern(expression: str) -> bool:
    """Whether it selects series by a matcher on their name: then the text does not tell which."""
    return _SELECTED.search(expression) is not None


def reached(starts: Iterable[str], recorded: Mapping[str, Iterable[str]]) -> set[str]:
    """All words that expressions read, directly or through what is recorded.

    Args:
        recorded: by name of what is recorded, the expressions that do so.
    """
    reached: set[str] = set()
    todo = [word for start in starts for word in words(start)]
    while todo:
        word = todo.pop()
        if word not in reached:
            reached.add(word)
            todo += [other for expression in recorded.get(word, ()) for other in words(expression)]
    return reached
