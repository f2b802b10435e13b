"""A recipe with some of it left open: lists in it are what to choose among, and ranges what a number may be. Pure.

The same lists stand in the configurations of Olive, https://microsoft.github.io/Olive/.
"""

from __future__ import annotations

import itertools
import json
import math
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

_ENDS = frozenset({"from", "to"})
_OF_RANGE = frozenset({*_ENDS, "log"})
# Digits of a number that was drawn from a range: as many as people would write.
_DIGITS = 3


@dataclass(frozen=True)
class Choice:
    """One of several values of plain data."""

    name: str
    """Where it stands: `small.steps[0].prune.ratio`."""
    values: tuple[Any, ...]
    no_step: str | None = None
    """That of the values by which a step is left out; None: none is."""

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(json.dumps(value, sort_keys=True) for value in self.values)

    def read(self, label: str) -> Any:
        """The value of a label.

        Raises:
            ValueError: none has it.
        """
        return self.values[self.labels.index(label)]


@dataclass(frozen=True)
class Range:
    """A number within bounds, both of which are meant too."""

    name: str
    low: float
    high: float
    log: bool = False
    """Whether equal factors are equally likely, and not equal distances."""
    whole: bool = False

    def rounded(self, value: float) -> float:
        """As it stands in a recipe."""
        if self.whole:
            return round(value)
        digits = _DIGITS - 1 - math.floor(math.log10(abs(value))) if value else 0
        return min(max(round(float(value), digits), self.low), self.high)


Open = Choice | Range
Ask = Callable[[Open], Any]
"""Settles one thing that is open: the label of a choice, or a number."""


class Unfit(ValueError):
    """Something that is no space; `path` says where below the recipe."""

    def __init__(self, message: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True)
class OpenStep:
    """A step of which the technique, or some options, are open."""

    alternatives: tuple[tuple[str, Any] | None, ...]
    """Techniques with their options as they are written; None: no step."""


@dataclass(frozen=True)
class OpenRecipe:
    """A recipe as it is written in a space."""

    name: str
    runtimes: tuple[str, ...]
    steps: tuple[OpenStep, ...]

    def drawn(self, ask: Ask, lists: Callable[[str, str], bool]) -> dict[str, Any]:
        """One recipe, as it would stand under `variants:`.

        Args:
            lists: whether an option of a technique is itself a list, so that a list says what it is.
        """
        runtime = _settled(self.runtimes, f"{self.name}.runtime", ask)
        steps = []
        for index, step in enumerate(self.steps):
            place = f"{self.name}.steps[{index}]"
            names = [None if each is None else each[0] for each in step.alternatives]
            labels = [f"{number}: {name}" for number, name in enumerate(names)] if len(names) > 1 else []
            left_out = labels[names.index(None)] if labels and None in names else None
            chosen = labels.index(_settled(tuple(labels), place, ask, left_out)) if labels else 0
            if (taken := step.alternatives[chosen]) is None:
                continue
            name, options = taken
            within = f"{place}.{name}" if names.count(name) < 2 else f"{place}.{chosen}.{name}"
            settled = {
                key: _drawn(value, f"{within}.{key}", ask, is_list=lists(name, key))
                for key, value in (options or {}).items()
            }
            steps.append({name: settled} if settled else name)
        return {"runtime": runtime, "steps": steps}


def read(name: str, runtime: Any, steps: Any, default: str) -> OpenRecipe:
    """A recipe of a space from plain data.

    Args:
        default: the runtime where none is named.

    Raises:
        Unfit: it is none, or leaves nothing to choose from.
    """
    runtimes = tuple(runtime) if isinstance(runtime, list) else (runtime or default,)
    if not runtimes:
        raise Unfit("an empty list leaves nothing to choose from", ("runtime",))
    if not isinstance(steps, list):
        raise Unfit("a list of steps is wanted here", ("steps",))
    return OpenRecipe(name, runtimes, tuple(_step(each, ("steps", index)) for index, each in enumerate(steps)))


def _step(entry: Any, path: tuple[str | int, ...]) -> OpenStep:
    if not isinstance(entry, list):
        return OpenStep((_technique(entry, path),))
    if not entry:
        raise Unfit("an empty list leaves nothing to choose from", path)
    return OpenStep(
        tuple(None if each is None else _technique(each, (*path, index)) for index, each in enumerate(entry))
    )


def _technique(entry: Any, path: tuple[str | int, ...]) -> tuple[str, Any]:
    if isinstance(entry, str):
        return entry, {}
    if isinstance(entry, dict) and len(entry) == 1:
        ((name, options),) = entry.items()
        if options is None or isinstance(options, dict):
            return str(name), options or {}
    raise Unfit("a step is one technique, `name` or `name: {options}`, or a list of such (with `null` for none)", path)


def opened(value: Any, name: str, *, is_list: bool = False) -> Open | None:
    """What an option leaves open; None: nothing at this place. A range of whole numbers has no others within.

    Args:
        is_list: whether the option is itself a list: then only a list of lists is a choice.

    Raises:
        Unfit: an empty choice, or a range that is none.
    """
    if isinstance(value, list):
        if is_list and not (value and all(isinstance(each, list) for each in value)):
            return None
        if not value:
            raise Unfit("an empty list leaves nothing to choose from")
        return Choice(name, tuple(value))
    if not isinstance(value, dict) or not value.keys() >= _ENDS:
        return None
    if value.keys() - _OF_RANGE:
        odd = min(map(str, value.keys() - _OF_RANGE))
        raise Unfit(f"unknown key `{odd}`; a range is `{{from: 0.25, to: 0.75}}`, with `log: true` where factors count")
    low, high, log = value["from"], value["to"], value.get("log", False)
    if not all(
        isinstance(end, int | float) and not isinstance(end, bool) and math.isfinite(end) for end in (low, high)
    ):
        raise Unfit("both ends of a range are numbers")
    if not low < high:
        raise Unfit(f"a range goes from the lower to the higher, and `{low}` is not below `{high}`")
    if not isinstance(log, bool):
        raise Unfit("`log` is true or false")
    if log and low <= 0:
        raise Unfit("`log: true` is of numbers above zero")
    return Range(name, low, high, log, isinstance(low, int) and isinstance(high, int))


def _drawn(value: Any, name: str, ask: Ask, *, is_list: bool = False) -> Any:
    found = opened(value, name, is_list=is_list)
    if isinstance(found, Choice):
        at = 0 if len(found.values) == 1 else found.labels.index(ask(found))
        chosen = found.values[at]
        # what one value leaves open is another thing than what another one does
        return chosen if is_list else _drawn(chosen, f"{name}[{at}]", ask)
    if found is not None:
        return found.rounded(ask(found))
    if isinstance(value, dict):
        return {key: _drawn(each, f"{name}.{key}", ask) for key, each in value.items()}
    return value


def _settled(values: Sequence[Any], name: str, ask: Ask, no_step: str | None = None) -> Any:
    if len(values) == 1:
        return values[0]
    choice = Choice(name, tuple(values), no_step)
    return choice.read(ask(choice))


def takes_list(annotation: Any) -> bool:
    """Whether a field of that type is a list, so that a list at its place is a value and no choice."""
    origin = get_origin(annotation)
    if origin in (Annotated, Union, types.UnionType):
        return any(takes_list(each) for each in get_args(annotation))
    return isinstance(origin or annotation, type) and issubclass(origin or annotation, list | tuple)


@dataclass(frozen=True)
class Drawn:
    """A recipe of a space."""

    recipe: dict[str, Any]
    """As it would stand under `variants:`."""
    settled: dict[str, Any]
    """By the names of what was open: the label of a choice, or a number."""


def corners(recipe: OpenRecipe, lists: Callable[[str, str], bool], most: int) -> Iterator[Drawn]:
    """Recipes of a space: every choice, of ranges both ends; as many as `most`, those nearest to what stands first."""

    def along(picks: Sequence[int]) -> tuple[Drawn, list[int]]:
        """The recipe that these indices pick (then the first of each), and how many there were to pick from."""
        sizes: list[int] = []
        settled: dict[str, Any] = {}

        def ask(what: Open) -> Any:
            options: Sequence[Any] = what.labels if isinstance(what, Choice) else (what.low, what.high)
            pick = picks[len(sizes)] if len(sizes) < len(picks) else 0
            sizes.append(len(options))
            settled[what.name] = options[min(pick, len(options) - 1)]
            return settled[what.name]

        return Drawn(recipe.drawn(ask, lists), settled), sizes

    queue: list[tuple[int, ...]] = [()]
    for picks in itertools.islice(_breadth(queue), most):
        drawn, sizes = along(picks)
        yield drawn
        for place in range(len(picks), len(sizes)):
            zeros = (0,) * (place - len(picks))
            queue += [(*picks, *zeros, other) for other in range(1, sizes[place])]


def _breadth(queue: list[tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
    index = 0
    while index < len(queue):
        yield queue[index]
        index += 1
