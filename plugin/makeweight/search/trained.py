"""What trials have trained, for others that begin alike and for the variant that is written down."""

from __future__ import annotations

from pathlib import Path

from makeweight.layout import TRAININGS
from makeweight_base import atomic


def pool(home: Path, origin: str) -> Path:
    """The folder of what was trained with the model, the code and the data that there are now. What was trained with
    others goes, since nothing takes it over any more.

    Args:
        home: that of all searches of a project.
        origin: see `checkpoints.origin`.
    """
    kept = home / TRAININGS / origin
    for other in kept.parent.iterdir() if kept.parent.is_dir() else ():
        if other != kept:
            atomic.remove(other)
    return kept
