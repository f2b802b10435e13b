"""What each variant was called at the base: a new name is no new beginning."""

from __future__ import annotations

from collections.abc import Mapping

from makeweight.ci.base import Base
from makeweight.project.project import Project


def renamed(project: Project, base: Base, made: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """The variants that only have another name now: the base's name of each by the one that it has here.

    That is one whose recipe and runtime, or whose artifact, is that of a variant that is not declared any more.

    Args:
        made: sha256 of what was made here, by variant, as far as it is known.
    """
    if base.project is None:
        return {}
    gone = [name for name in base.project.variants if name not in project.variants]
    found: dict[str, str] = {}
    for name in (name for name in project.variants if name not in base.project.variants):
        own = (made or {}).get(name)
        same = [each for each in gone if own is not None and base.artifacts.get(each) == own]
        same += [each for each in gone if _recipe(base.project, each) == _recipe(project, name)]
        if same:
            found[name] = same[0]
            gone.remove(same[0])
    return found


def earlier(project: Project, base: Base, made: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """The variants that there was an artifact of at the base, each with its name there; `made` as for `renamed`.

    Those that are missing are new, and have nothing to have grown from.
    """
    names = {name: name for name in project.variants} | renamed(project, base, made)
    return {name: was for name, was in names.items() if base.had(was)}


def _recipe(project: Project, name: str) -> tuple[object, ...]:
    variant = project.variants[name]
    return variant.runtime, variant.recipe
