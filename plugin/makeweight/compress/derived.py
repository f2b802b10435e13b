"""The space of recipes where a project gives none: one step of each kind, or none, from what techniques say of
themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from makeweight.compress import space
from makeweight.compress.recipe import Step
from makeweight.compress.space import OpenRecipe, OpenStep
from makeweight.compress.technique import Technique
from makeweight.runtimes.format import SourceKind

NAME = "any"

# In what order steps stand, by what they do to a model: what makes it smaller, what holds its weights, what trains all
# that is left, and in which numbers it is lowered.
_ORDER: tuple[frozenset[str], ...] = (
    frozenset({"changes", "replaces"}),
    frozenset({"masks", "ties", "hashes"}),
    frozenset({"trains"}),
    frozenset({"numbers"}),
)
# Options are looked through for one set that is valid.
_MOST = 16


def derive(
    techniques: Mapping[str, Technique],
    source: SourceKind,
    runtimes: Sequence[str],
    takes_list: Callable[[str, str], bool],
) -> OpenRecipe:
    """The space that these techniques span on a model of that kind. One without options that are valid is left out.

    Args:
        takes_list: see `OpenRecipe.drawn`.
    """
    by_kind: dict[str, list[tuple[str, Any]]] = {}
    for name, technique in techniques.items():
        if source == "graph" and "graph" not in getattr(technique, "accepts", {"graph"}):
            continue
        searched: Sequence[Mapping[str, Any]] = getattr(technique, "searched", ({},))
        for options in searched:
            kind = next(_kinds(name, technique, options, takes_list), None)
            if kind is not None:
                by_kind.setdefault(kind, []).append((name, dict(options)))
    steps = []
    for kinds in _ORDER:
        offered = [each for kind in sorted(kinds) for each in by_kind.get(kind, ())]
        if offered:
            steps.append(OpenStep((None, *offered)))
    return OpenRecipe(NAME, tuple(runtimes), tuple(steps))


def _kinds(
    name: str, technique: Technique, options: Mapping[str, Any], takes_list: Callable[[str, str], bool]
) -> Iterator[str]:
    """What the step does, of each set of its options that is valid."""
    alone = OpenRecipe(NAME, ("",), (OpenStep(((name, options),)),))
    for drawn in space.corners(alone, takes_list, _MOST):
        (written,) = drawn.recipe["steps"]
        try:
            checked = technique.Options.model_validate({} if isinstance(written, str) else written[name])
        except ValidationError:
            continue
        step = Step(technique, checked)
        yield "numbers" if technique.sets_number_format else step.transformation.effect(checked)
