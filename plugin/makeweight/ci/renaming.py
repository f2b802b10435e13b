"""What each variant was called at the base: a new name is no new beginning."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

from makeweight.ci.base import Base
from makeweight.project.project import Project


def renamed(project: Project, base: Base, made: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """The variants that only have another name now: the base's name of each by the one that it has here.

    That is one whose recipe and runtime, or whose artifact, is that of a variant that is not declared any more, or that
    ships where that did.

    Args:
        made: sha256 of what was made here, by variant, as far as it is known.
    """
    if base.project is None:
        return {}
    gone = [name for name in base.project.variants if name not in project.variants]
    found: dict[str, str] = {}
    for name in (name for name in project.variants if name not in base.project.variants):
        was = _like(project, name, base, gone, (made or {}).get(name))
        if was is not None:
            found[name] = was
            gone.remove(was)
    was, now = base.project.ship, project.ship
    if was in gone and now in project.variants and now not in base.project.variants and now not in found:
        found[now] = was  # whatever it is made by: what users get is held against what they had
    return found


def earlier(project: Project, base: Base, made: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """What each variant is held against: the base's names of artifacts that there were, by the names here.

    A copy beside the variant that it is a copy of is held against that one too. Those that are missing are new, and
    have nothing to have grown from; `made` as for `renamed`.
    """
    there = [] if base.project is None else [name for name in base.project.variants if base.had(name)]
    names = renamed(project, base, made)
    held: dict[str, str] = {}
    for name in project.variants:
        was = name if base.project is not None and name in base.project.variants else names.get(name)
        was = was or _like(project, name, base, there, (made or {}).get(name))
        if was is not None and was in there:
            held[name] = was
    return held


def _like(project: Project, name: str, base: Base, among: Iterable[str], sha256: str | None) -> str | None:
    """Which of the base's variants this one is, by its bytes or else by its recipe."""
    listed = list(among)
    by_bytes = (each for each in listed if sha256 is not None and base.artifacts.get(each) == sha256)
    by_recipe = (each for each in listed if base.project and _recipe(base.project, each) == _recipe(project, name))
    return next(itertools.chain(by_bytes, by_recipe), None)


def _recipe(project: Project, name: str) -> tuple[object, ...]:
    variant = project.variants[name]
    return variant.runtime, variant.recipe
