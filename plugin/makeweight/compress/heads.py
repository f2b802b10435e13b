"""Attention heads, removed whole from attention that is written in layers.

Michel et al., "Are Sixteen Heads Really Better than One?", NeurIPS 2019, https://arxiv.org/abs/1905.10650
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, TypeVar

from makeweight.compress import attention
from makeweight.compress.attention import Attention
from makeweight.compress.examples import Tensors
from makeweight.compress.narrowing import Removal, answered, apart
from makeweight.compress.rounding import removed

# The largest deviation of sharpened attention that still counts as rounding. Heads that are cut otherwise than before
# mostly answer alike, as long as each takes a little of everything.
ROUNDING = 2e-5
# Numbers of an attention that are tried as those that its forward counts heads by.
_NUMBERS = 6

_T = TypeVar("_T")


@dataclass(frozen=True)
class Number:
    """An attribute of a module that grows with the number of heads: that number, or the channels of all."""

    part: str
    attribute: str
    per_head: int


@dataclass(frozen=True)
class Narrowable:
    """An attention, and what has to change with the number of its heads so that `forward` takes fewer."""

    attention: Attention
    numbers: tuple[Number, ...]
    follows: bool = False
    """Whether heads have to be as many as the width of its inputs has room for: `forward` divides that by them."""


@dataclass(frozen=True)
class HeadRemoval:
    """Heads of an attention that were removed."""

    of: Narrowable
    heads: tuple[int, ...]

    @property
    def layer(self) -> str:
        return next(iter(self.of.attention.makers))

    def carry_out(self, module: Any, _: Any, /) -> None:
        attention.remove(module, self.of.attention, self.heads)
        _count(module, self.of.numbers, self.of.attention.count - len(self.heads))


@dataclass
class HeadPruner:
    """Removes heads round by round, those that matter least.

    Args:
        importance: of a group of Torch-Pruning.
        together: all heads are compared, not those of one attention.
        multiple: of channels that is kept where heads allow it.
    """

    left: list[Narrowable]
    importance: Callable[[Any], Any]
    ratio: float
    rounds: int
    together: bool
    multiple: int

    def __post_init__(self) -> None:
        self._round = 0
        self._counts = [each.attention.count for each in self.left]

    def step(self, module: Any) -> list[HeadRemoval]:
        self._round += 1
        scores = [attention.importances(module, each.attention, self.importance) for each in self.left]
        going = []
        for place, (each, wanted) in enumerate(zip(self.left, self._wanted(scores), strict=True)):
            count = each.attention.count
            fewer = _surplus(module, each.attention) if each.follows else self._rounded(each.attention, wanted)
            least = sorted(range(count), key=lambda head: scores[place][head])[:fewer]
            if least:
                going.append(HeadRemoval(each, tuple(sorted(least))))
                going[-1].carry_out(module, None)
                self.left[place] = replace(each, attention=each.attention.without(least))
        return going

    def _rounded(self, of: Attention, wanted: float) -> int:
        return removed(wanted * of.width, of.count * of.width, math.lcm(self.multiple, of.width)) // of.width

    def fewer(self) -> dict[str, list[int]]:
        """By attention, how many heads there were and are, where some were removed."""
        counts = zip(self._counts, (each.attention for each in self.left), strict=True)
        return {each.called: [first, each.count] for first, each in counts if each.count < first}

    def _wanted(self, scores: Sequence[Sequence[float]]) -> list[float]:
        """Of each attention, how many heads to remove in this round."""
        part = self.ratio * self._round / self.rounds
        gone = [first - len(own) for first, own in zip(self._counts, scores, strict=True)]
        if not self.together:
            return [part * first - before for first, before in zip(self._counts, gone, strict=True)]
        every = sorted((score, place) for place, own in enumerate(scores) for score in own)
        least = [place for _, place in every[: max(0, round(part * sum(self._counts)) - sum(gone))]]
        return [float(least.count(place)) for place in range(len(scores))]


def narrowable(shaken: Any, found: Sequence[Attention], example: Tensors) -> list[Narrowable | None]:
    """How each attention takes fewer heads and answers as before with the others masked; None: it does not.

    What holds of one is tried first with those that are made alike, and where nothing does, nothing is tried with them.

    Args:
        shaken: the module, with weights of which none is zero, and sharpened attention.
    """
    known: dict[Any, tuple[int, ...] | None] = {}
    able: list[Narrowable | None] = []
    for each in found:
        numbers = _numbers(shaken, each)
        kind = _kind(shaken, each, numbers)
        places = range(len(numbers))
        first = known.get(kind, ())
        tried = () if first is None else dict.fromkeys((first, *_some(places)))
        known[kind] = next(_enough(shaken, each, numbers, tried, example), None)
        chosen = known[kind]
        able.append(None if chosen is None else Narrowable(each, tuple(numbers[place] for place in chosen)))
    return able


def _enough(
    shaken: Any, found: Attention, numbers: Sequence[Number], tried: Iterable[tuple[int, ...]], example: Tensors
) -> Iterator[tuple[int, ...]]:
    """Of the choices of numbers, each by its places, those that have to change and no other."""
    masked, narrowed = copy.deepcopy(shaken), copy.deepcopy(shaken)
    attention.mask(masked, found, [0])
    attention.remove(narrowed, found, [0])
    wanted = answered(masked, example)
    for places in tried:
        chosen = [numbers[place] for place in places]
        _count(narrowed, chosen, found.count - 1)
        if apart(wanted, answered(narrowed, example)) <= ROUNDING:
            yield places
        _count(narrowed, chosen, found.count)


def _kind(module: Any, found: Attention, numbers: Sequence[Number]) -> Any:
    """The same for attention of one class that is made with the same numbers."""
    start = len(found.name)
    made = tuple((number.part[start:], number.attribute, number.per_head) for number in numbers)
    layers = tuple((name[start:], heads) for name, heads in found.makers.items())
    return type(module.get_submodule(found.name)), found.reader[start:], found.read, layers, made


def following(found: Sequence[Attention], module: Any) -> Iterator[tuple[Narrowable, ...]]:
    """All ways in which attention could give up heads where its inputs become narrower, few changed numbers first.

    Numbers of one name are changed in all of them or in none.
    """
    numbers = [_numbers(module, each) for each in found]
    names = list(dict.fromkeys(number.attribute for own in numbers for number in own))[:_NUMBERS]
    for chosen in _some(names):
        yield tuple(
            Narrowable(each, tuple(number for number in own if number.attribute in chosen), follows=True)
            for each, own in zip(found, numbers, strict=True)
        )


def runs(narrowed: Any, found: Sequence[Narrowable], removed: Sequence[Removal], example: Tensors) -> bool:
    """Whether a module runs whose heads were removed, with their numbers counted anew; it is left as it was."""
    gone = {each.layer: len(each.heads) for each in removed if isinstance(each, HeadRemoval)}
    for each in found:
        _count(narrowed, each.numbers, each.attention.count - gone.get(next(iter(each.attention.makers)), 0))
    answer = answered(narrowed, example)
    for each in found:
        _count(narrowed, each.numbers, each.attention.count)
    return answer is not None


def _surplus(module: Any, of: Attention) -> int:
    """How many heads an attention has that its inputs, whose width its heads used to share, have no room for."""
    maker = module.get_submodule(next(iter(of.makers)))
    return max(0, of.count - int(maker.weight.shape[1]) // of.width)


def _numbers(module: Any, found: Attention) -> list[Number]:
    """Whole numbers of what the user wrote of an attention that may be counted by heads; the smallest first."""
    numbers = []
    for name, part in module.get_submodule(found.name).named_modules(prefix=found.name):
        if type(part).__module__.startswith("torch."):
            continue
        for attribute, value in vars(part).items():
            if type(value) is int and value > 0 and value % found.count == 0:
                numbers.append(Number(name, attribute, value // found.count))
    return sorted(numbers, key=lambda number: number.per_head)[:_NUMBERS]


def _some(of: Sequence[_T]) -> Iterator[tuple[_T, ...]]:
    """Every choice of some, few before many."""
    return (chosen for size in range(len(of) + 1) for chosen in combinations(of, size))


def _count(module: Any, numbers: Sequence[Number], heads: int) -> None:
    for number in numbers:
        setattr(module.get_submodule(number.part), number.attribute, number.per_head * heads)
