"""A context for techniques, over the small project."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from makeweight.compress.technique import Context
from makeweight.project.project import Project
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.user import data, model
from makeweight.user.dataset import Dataset


class Told:
    """Keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    def over(self, items, label, total=None):  # type: ignore[no-untyped-def]
        yield from items


@pytest.fixture
def make_context(tmp_path: Path) -> Callable[..., Context]:
    def make(project: Project, seed: int = 0) -> Context:
        def split(name: str) -> Dataset:
            return data.load(project, name)

        return Context(
            root=project.root,
            runtime=OnnxRuntime(),
            task=project.task,
            seed=seed,
            split=split,
            calibration=lambda: data.calibration(project),
            output=project.model.output,
            baseline=lambda: model.load_module(project),
            workdir=tmp_path,
            progress=Told(),
        )

    return make
