"""What a project declares of its model, its data and its task: all that it takes to load them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from makeweight.config.settings import DataSettings, ModelSettings, TaskSettings


@dataclass(frozen=True)
class Declared:
    """Plain settings, with the folder in which the user's own code and files are found."""

    root: Path
    model: ModelSettings
    data: DataSettings
    task: TaskSettings
    seed: int
    named: tuple[str, ...] = ()
    """All paths, from there, that makeweight.yaml names: code, model, data and raw samples."""
