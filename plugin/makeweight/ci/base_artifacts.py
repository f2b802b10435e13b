"""The base's artifacts beside those made here, for `max_regression`: kept, or made again where nothing is stored."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path

from makeweight.artifact import artifact
from makeweight.ci import regression
from makeweight.ci.base import Base
from makeweight.ci.dvc import Dvc, Failed, gist
from makeweight.ci.git import Git
from makeweight.ci.renaming import earlier
from makeweight.ci.state import BASE, remove
from makeweight.layout import OWN
from makeweight.project.project import Project
from makeweight_base.errors import EnvironmentFailed
from makeweight_base.progress import Progress


def place(root: Path, variant: str) -> Path:
    """The folder of the merge base's artifact, by the name that the variant has here."""
    return root / OWN / BASE / variant


def needed(project: Project, base: Base, made: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """The variants whose artifacts at the base a rule about growth on some device asks for, with their names there.

    Args:
        made: sha256 of what was made here, by variant, once it is known.
    """
    rules = (*project.rules, *base.rules)
    asked = any(regression.wanted(rules, device) for device in project.devices)
    return earlier(project, base, made) if asked else {}


def keep(project: Project, base: Base, variants: Mapping[str, str]) -> None:
    """Set artifacts aside before the stages overwrite them: those that are the ones that the base had."""
    for name, was in variants.items():
        folder, aside = project.layout.artifact(was), place(project.root, name)
        if is_the_bases(folder, base, was):
            remove(aside)
            shutil.copytree(folder, aside)


def is_the_bases(folder: Path, base: Base, was: str) -> bool:
    """Whether the artifact in a folder is the one that the base had under a name, to the last byte."""
    told = artifact.found(folder)
    if told is None or told.model is None:
        return False
    return told.sha256 == base.artifacts.get(was) and told.model.is_whole()


def beside(project: Project) -> dict[str, str]:
    """sha256 of the models that lie there, by the names that the variants have here."""
    told = {name: artifact.found(place(project.root, name)) for name in project.variants}
    return {name: each.sha256 for name, each in told.items() if each is not None and each.sha256 is not None}


def lacking(project: Project, base: Base, remade: Collection[str]) -> dict[str, str]:
    """Those of `needed` that may not be the base's any more, and whose base is not at hand, or not as it was set aside.

    Args:
        remade: the variants whose models are made from something else than the base's.
    """
    told = {name: artifact.found(project.layout.artifact(name)) for name in project.variants}
    made = {name: None if each is None else each.sha256 for name, each in told.items()}
    return {
        name: was
        for name, was in needed(project, base, made).items()
        if made[name] is not None
        and (name in remade or made[name] != base.artifacts.get(was))
        and not is_the_bases(place(project.root, name), base, was)
    }


def make_again(
    project: Project,
    base: Base,
    variants: Mapping[str, str],
    git: Git,
    dvc_in: Callable[[Path], Dvc],
    progress: Progress,
) -> None:
    """Bring them into a work tree of the base, or make them there. Where that fails, they are simply not there."""
    wanted = list(dict.fromkeys(variants.values()))
    progress.say(f"making {', '.join(wanted)} of the base again: they are not at hand")
    for name in variants:
        remove(place(project.root, name))
    try:
        with git.second(base.sha) as root:
            dvc, layout = dvc_in(root), replace(project, root=root).layout
            # what is stored of a variant under an old name was not brought with this change's
            dvc.pull([f"compress@{was}" for was in wanted])
            left = [was for was in wanted if not is_the_bases(layout.artifact(was), base, was)]
            if left:
                dvc.reproduce([f"compress@{was}" for was in left])
            for name, was in variants.items():
                shutil.copytree(layout.artifact(was), place(project.root, name))
    except (Failed, EnvironmentFailed, OSError) as error:
        said = gist(error.said) if isinstance(error, Failed) else str(error)
        progress.say(f"the base's artifacts could not be made again: {said}")
