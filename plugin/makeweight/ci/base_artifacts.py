"""The base's artifacts beside those made here, for `max_regression`: kept, or made again where nothing is stored."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from makeweight.artifact import artifact
from makeweight.ci import regression
from makeweight.ci.base import Base
from makeweight.ci.dvc import Dvc, Failed, gist
from makeweight.ci.git import Git
from makeweight.ci.state import FOLDER
from makeweight.project.project import Project
from makeweight_base.errors import EnvironmentFailed
from makeweight_base.progress import Progress


def place(root: Path, variant: str) -> Path:
    """The folder of the merge base's artifact."""
    return root / FOLDER / "base" / variant


def needed(project: Project, base: Base) -> list[str]:
    """The variants whose artifacts at the base a rule about growth on some device asks for."""
    rules = (*project.rules, *base.rules)
    asked = any(regression.wanted(rules, device) for device in project.devices)
    return [name for name in project.variants if asked and base.had(name)]


def keep(project: Project, base: Base, variants: Iterable[str]) -> None:
    """Set artifacts aside before the stages overwrite them: those that are the ones that the base had."""
    for name in variants:
        folder, aside = project.layout.artifact(name), place(project.root, name)
        if not (folder / artifact.MANIFEST).exists():
            continue
        told = artifact.read(folder)
        if told.model is None or told.sha256 != base.artifacts.get(name) or not told.model.is_whole():
            continue
        shutil.rmtree(aside, ignore_errors=True)
        shutil.copytree(folder, aside)


def lacking(project: Project, base: Base, variants: Iterable[str]) -> list[str]:
    """Those that are not the base's any more, and whose base is not at hand."""
    return [
        name
        for name in variants
        if not place(project.root, name).exists()
        and artifact.read(project.layout.artifact(name)).sha256 not in (None, base.artifacts.get(name))
    ]


def make_again(
    project: Project, base: Base, variants: list[str], git: Git, dvc_in: Callable[[Path], Dvc], progress: Progress
) -> None:
    """Make them in a work tree of the base. Where that fails, they are simply not there."""
    progress.say(f"making {', '.join(variants)} of the base again: there is nothing stored of them")
    try:
        with git.second(base.sha) as root:
            dvc_in(root).reproduce([f"compress@{name}" for name in variants])
            for name in variants:
                shutil.copytree(replace(project, root=root).layout.artifact(name), place(project.root, name))
    except (Failed, EnvironmentFailed, OSError) as error:
        said = gist(error.said) if isinstance(error, Failed) else str(error)
        progress.say(f"the base's artifacts could not be made again: {said}")
