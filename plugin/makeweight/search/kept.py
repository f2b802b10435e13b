"""What searches leave on disk: what of it goes once another search begins, and how much it is."""

from __future__ import annotations

import contextlib
from pathlib import Path

from makeweight.artifact.artifact import MANIFEST
from makeweight.search.trial import ARTIFACT, Journal
from makeweight_base import atomic


def drop_models(home: Path, current: Path) -> None:
    """Of all searches but one, drop the models that trials made. What goes on with such a search needs what its trials
    came to, and asks for no model of them again.

    Args:
        home: the folder of all searches of a project.
        current: that of the search that begins.
    """
    for folder in home.iterdir():
        if folder == current or not folder.is_dir():
            continue
        journal = Journal(folder)
        for number in journal.ended():
            for made in (journal.at(number) / ARTIFACT).glob("*"):
                if made.name != MANIFEST:
                    atomic.remove(made)


def held(home: Path) -> int:
    """Bytes of all files below a folder; of what goes meanwhile, nothing."""
    found = 0
    for path in home.rglob("*"):
        with contextlib.suppress(OSError):
            found += path.lstat().st_size if path.is_file() else 0
    return found
