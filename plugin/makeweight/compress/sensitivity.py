"""Mixed precision by measured sensitivity: as few layers in float as it takes, found with a bounded number of models.

Each layer (or, of a deep network, each of `MOST` groups of neighbours) is once alone in float; those by which most is
won of the signal to noise stay first, and bisection finds how many of them the goal takes. The goal may be that signal
to noise itself, or one that is dearer to ask for, such as an accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from makeweight.runtimes.runtime import RecipeFailed
from makeweight_base.progress import Progress

MOST = 64
"""Groups of layers that are measured alone."""

Score = Callable[[Sequence[str]], float]
"""What is had with these layers in float; more is better."""


@dataclass(frozen=True)
class Wanted:
    """A goal, by the option that sets it."""

    option: str
    value: float
    score: Score
    show: Callable[[float], str]
    """A score in words."""


@dataclass(frozen=True)
class Found:
    """What stays in float, and what that was decided on."""

    kept: tuple[str, ...]
    before: float
    """The goal's score with no layer in float."""
    reached: float
    alone: dict[str, float]
    """Of each kept layer, the signal to noise in decibels that it reached alone in float, or its group did."""
    judged: dict[int, float]
    """The goal's score by the number of layers in float, wherever it was asked for."""
    tried: int
    """How many models were made and tried."""


def grouped(layers: Sequence[str], most: int) -> list[list[str]]:
    """The layers in at most so many groups of neighbours, in their order."""
    return [list(map(str, part)) for part in np.array_split(np.array(layers), min(len(layers), most))]


def fewest(layers: Sequence[str], noise: Score, goal: Wanted, progress: Progress) -> Found:
    """The shortest beginning of the layers, the most sensitive first, with which the goal is reached. At most
    2 + `MOST` + log2(`MOST`) models are made, of which the goal's own score is asked of 2 + log2(`MOST`).

    Args:
        layers: those that would be integers, in the order of the graph.
        noise: signal to noise of the outputs; where it is the goal's own score, nothing is asked for twice.

    Raises:
        RecipeFailed: it is not reached while a layer is left on integers.
    """
    before = goal.score(())
    judged = {0: before}
    if before >= goal.value:
        return Found((), before, before, {}, judged, 1)
    parts = grouped(layers, MOST)
    groups = parts if len(parts) > 1 else []
    alone = [noise(group) for group in progress.over(groups, "sensitivity of layers", len(groups))]
    ranked = sorted(range(len(groups)), key=lambda index: -alone[index])
    reached: dict[int, float] = {1: max(alone)} if groups and noise is goal.score else {}
    tried = 1 + len(groups) - len(reached)

    def first(count: int) -> list[tuple[str, float]]:
        return [(name, alone[index]) for index in ranked[:count] for name in groups[index]]

    def holds(count: int) -> bool:
        if count not in reached:
            reached[count] = goal.score([name for name, _ in first(count)])
        judged[len(first(count))] = reached[count]
        return reached[count] >= goal.value

    low, high = 1, len(groups) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    if not groups or not holds(low):
        best = max([*judged.values(), *(alone if noise is goal.score else ())])
        raise RecipeFailed(
            f"quantize: `{goal.option}` is not reached while a layer is left on integers: {goal.show(goal.value)} is "
            f"wanted, the best was {goal.show(best)}, with none in float {goal.show(before)}; ask for less of it, or "
            "take another format"
        )
    kept = first(low)
    return Found(tuple(name for name, _ in kept), before, reached[low], dict(kept), judged, tried + len(reached))
