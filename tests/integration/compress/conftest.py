"""What a technique is handed, over the small project."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from makeweight.compress.technique import Given
from makeweight.project.project import Project
from makeweight.user import data, module
from makeweight.user.ports import of_module


class Told:
    """Keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    def over(self, items, label, total=None):  # type: ignore[no-untyped-def]
        yield from items


def fresh(given: Given) -> Any:
    """A module to change: a copy of the baseline."""
    return copy.deepcopy(given.baseline)


@pytest.fixture
def make_given(tmp_path: Path) -> Callable[..., Given]:
    def make(project: Project, seed: int = 0) -> Given:
        declared = project.declared
        splits = {name: data.load(declared, name) for name in ("train", "validation")}
        return Given(
            root=project.root,
            task=project.task,
            ports=of_module(project.model),
            output=project.model.output,
            seed=seed,
            channel_multiple=16,
            scratch=tmp_path,
            progress=Told(),
            splits={**splits, "calibration": data.calibration(declared)},
            baseline=module.load_module(declared),
        )

    return make
