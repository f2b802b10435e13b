"""Advice and makeweight.yaml: what the file takes, and a recipe put into it as a variant like any other."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from makeweight.advise.ranking import Advice, Read, Reading
from makeweight.advise.rule import Recipe
from makeweight.config.settings import NAME, RESERVED_VARIANTS
from makeweight.layout import CONFIG
from makeweight.pipeline import yamledit
from makeweight.project import reading
from makeweight_base import atomic
from makeweight_base.errors import ConfigError, UsageError


def reader(text: str, root: Path, *, of_module: bool = False) -> Read:
    """What a makeweight.yaml that has no problems makes of one more recipe. Reads no file.

    Args:
        of_module: as if it declared a module in place of the file that its model is.
    """
    document = reading.parsed(text, CONFIG)
    project = reading.understood(document, root, beginning=True)
    declared = project.variants
    if of_module:
        module = {"build": "module:build", "weights": "weights.pt", "runtime": project.model.runtime}
        document = replace(document, data={**document.data, "model": {**module, "inputs": {"input": ["N"]}}})

    def read(recipe: Recipe) -> Reading:
        try:
            own = reading.with_recipe(document, root, recipe)
        except ConfigError as error:
            # where it would stand says nothing: it stands nowhere yet
            told = (re.sub(r"^variants\.recipe\.\S+: ", "", problem.what) for problem in error.problems)
            return Reading(objection="; ".join(dict.fromkeys(told)))
        return Reading(twin=own.twin(declared))

    return read


def snippet(name: str, recipe: Recipe) -> str:
    """A variant as it is pasted under `variants:`."""
    return yamledit.dump({"variants": {name: recipe}})


def refuse(name: str, taken: Collection[str]) -> None:
    """Args:
        taken: the names of the variants that there are.

    Raises:
        UsageError: no further variant can have that name.
    """
    if name in taken:
        raise UsageError(
            f"there is a variant `{name}` already", where=CONFIG, do="Give it another name, or take that one out."
        )
    if not NAME.fullmatch(name) or name in RESERVED_VARIANTS:
        own = ", ".join(f"`{each}`" for each in sorted(RESERVED_VARIANTS))
        raise UsageError(
            f"`{name}` is no name for a variant: letters, digits, `-` and `_`, at most 63, and none of those that "
            f"makeweight uses itself ({own})"
        )


def write(root: Path, name: str, advice: Advice, above: Sequence[str]) -> None:
    """Put a recipe into makeweight.yaml; every other byte stays as it is.

    Args:
        above: lines of comment.

    Raises:
        UsageError: see `refuse`; or the file cannot be edited safely.
    """
    path = root / CONFIG
    text = path.read_bytes().decode("utf-8")  # whatever its lines end in
    refuse(name, reading.understand(text, CONFIG, root, beginning=True).variants)
    edited = yamledit.put(text, ("variants", name), dict(advice.recipe), source=CONFIG, above=above)
    reading.understand(edited, CONFIG, root)
    atomic.write_text(path, edited)
