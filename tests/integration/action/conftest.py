"""A machine to run steps on, our actions and workflows, and those that `init` writes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from integration.action.machine import Machine
from integration.action.runner import REPOSITORY
from makeweight.project.project import Project
from makeweight.project.reading import understand
from makeweight.starter import workflows

CONFIG = """
model: {onnx: model.onnx}
data: {npz: {test: test.npz}}
variants: {half: {steps: [float16]}}
budget: {size: {max: 1 MB}}
"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture(scope="session")
def ours() -> dict[str, str]:
    """Every action and workflow of this repository, by path."""
    found = [REPOSITORY / "action.yml", REPOSITORY / "setup" / "action.yml"]
    found += sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
    return {path.relative_to(REPOSITORY).as_posix(): path.read_text() for path in found}


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., dict[Path, str]]:
    """The workflows for a project in a git repository; in a folder of it, if one is given."""

    def write(
        where: str, folder: str = ".", config: str = CONFIG, lock: str | None = None, branch: str = "main"
    ) -> dict[Path, str]:
        root = tmp_path / folder
        root.mkdir(parents=True, exist_ok=True)
        if not (tmp_path / ".git").exists():
            subprocess.run(["git", "init", "--quiet", "-b", "a-feature"], cwd=tmp_path, check=True)
        project: Project = understand(config, "makeweight.yaml", root)
        return dict(workflows.plan(tmp_path, root, project, where, lock, branch).files)

    return write
