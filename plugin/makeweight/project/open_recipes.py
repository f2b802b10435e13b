"""The section `search:` of makeweight.yaml: recipes that leave something open, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from makeweight import registry
from makeweight.compress import space
from makeweight.compress.space import Choice, OpenRecipe, Unfit
from makeweight.compress.technique import Options
from makeweight.config.problems import Problems, near
from makeweight.config.settings import RUNTIME
from makeweight.project.offered import default_runtime, plugged
from makeweight_base.errors import ConfigError
from makeweight_base.yamlfile import Path

# Combinations that are tried before a space is said to have none that makes sense.
_MOST = 64


def open_recipes(data: Mapping[str, Any], problems: Problems) -> dict[str, OpenRecipe]:
    """Those of the raw file whose parts are known and whose values can be had; the rest is noted."""
    section = data.get("search")
    recipes = section.get("recipes") if isinstance(section, dict) else None
    found = {}
    for name, settings in recipes.items() if isinstance(recipes, dict) else ():
        if not isinstance(settings, dict) or not isinstance(settings.get("steps"), list):
            continue  # the schema has told
        path: Path = ("search", "recipes", str(name))
        before = len(problems)
        try:
            recipe = space.read(str(name), settings.get("runtime"), settings["steps"], default_runtime(data))
        except Unfit as error:
            problems.note((*path, *error.path), str(error))
            continue
        for runtime in recipe.runtimes:
            plugged("runtime", str(runtime), (*path, "runtime"), problems)
        for index, step in enumerate(recipe.steps):
            several = isinstance(settings["steps"][index], list)
            for number, alternative in enumerate(step.alternatives):
                if alternative is not None:
                    place = (*path, "steps", index, *((number,) if several else ()), alternative[0])
                    _check(alternative[0], alternative[1], place, problems)
        if len(problems) == before:
            found[str(name)] = recipe
    return found


def refuse_hopeless(
    name: str, recipe: OpenRecipe, sensible: Callable[[Mapping[str, Any]], object], problems: Problems
) -> None:
    """Note a space of which no combination makes a recipe.

    Args:
        sensible: raises ConfigError for a recipe that makes no sense here.
    """
    reason = "it leaves nothing to make"
    for drawn in space.corners(recipe, takes_list, _MOST):
        try:
            sensible(drawn.recipe)
        except ConfigError as error:
            reason = first_reason(error)
        else:
            return
    problems.note(("search", "recipes", name), f"none of its combinations that were looked at is a recipe: {reason}")


def first_reason(error: ConfigError) -> str:
    """What is wrong with a recipe that `with_recipe` refused, without a place that no file has."""
    return error.problems[0].what.split(": ", 1)[-1]


def takes_list(technique: str, option: str) -> bool:
    """See `OpenRecipe.drawn`."""
    field = registry.load("technique", technique)().Options.model_fields.get(option)
    return field is not None and space.takes_list(field.annotation)


def is_open(technique: str, option: str, value: Any) -> bool:
    """Whether a value of an option is meant as a choice or a range."""
    try:
        return space.opened(value, option, is_list=takes_list(technique, option)) is not None
    except Unfit:
        return True


def _check(name: str, options: Mapping[str, Any], path: Path, problems: Problems) -> None:
    """Note options that there are none of, and values that fit with none of the others'."""
    technique = plugged("technique", name, path, problems)
    if technique is None:
        return
    of: type[Options] = technique().Options
    for key in options:
        if key not in of.model_fields:
            problems.note((*path, key), f"unknown key; {near(str(key), list(of.model_fields))}")
    if not options.keys() <= of.model_fields.keys():
        return
    before, opened = len(problems), {}
    for key, value in options.items():
        try:
            opened[key] = space.opened(value, key, is_list=takes_list(name, key))
        except Unfit as error:
            problems.note((*path, key), str(error))
    if len(problems) > before:
        return
    if _never(name, of, options) is not None:
        problems.validated(of, next(_settings(name, options)), path)
        return
    for key, found in opened.items():
        for each in found.values if isinstance(found, Choice) else ():
            if (reason := _never(name, of, {**options, key: [each]})) is not None:
                problems.note((*path, key), f"`{each}`: {reason}")


def _never(name: str, of: type[Options], options: Mapping[str, Any]) -> str | None:
    """Why no combination of these options can be had; None where one can."""
    reason = None
    for settings in _settings(name, options):
        try:
            of.model_validate(settings)
        except ValidationError as error:
            reason = reason or str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")
        else:
            return None
    return reason


def _settings(name: str, options: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    recipe = space.read("any", RUNTIME, [{name: dict(options)}], RUNTIME)
    for drawn in space.corners(recipe, takes_list, _MOST):
        (step,) = drawn.recipe["steps"]
        yield {} if isinstance(step, str) else step[name]
