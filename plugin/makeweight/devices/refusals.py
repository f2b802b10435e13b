"""What a program was seen to say when it fails, and what helps: a table, looked up by a part of what is said."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One thing that goes wrong. Words in capitals, such as HOST, stand for what is known only then."""

    sign: str
    """A part of what is said, in small letters."""
    what: str
    do: str
    also: tuple[str, ...] = ()
    """Other signs of the same."""


def fitting(cases: Iterable[Case], said: str, **known: str) -> tuple[str, str] | None:
    """What happened and what to do, by the first case that fits; None: none does.

    Args:
        known: what stands for each of the words in capitals.
    """
    low = said.lower()
    case = next((case for case in cases if any(sign in low for sign in (case.sign, *case.also))), None)
    if case is None:
        return None
    # at once: what is put in may itself have such a word in it
    words = re.compile("|".join(known))
    what, do = (words.sub(lambda found: known[found[0]], text) for text in (case.what, case.do))
    return what, do
