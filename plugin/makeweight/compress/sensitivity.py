"""Mixed precision by measured sensitivity: as few layers in float as it takes, found with a bounded number of models.

Each layer (or, of a deep network, each of `MOST` groups of neighbours) is once alone in float; those by which most is
won stay first, and bisection finds how many of them are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from makeweight.runtimes.runtime import RecipeFailed
from makeweight_base.progress import Progress

MOST = 64
"""Groups of layers that are measured alone."""


@dataclass(frozen=True)
class Found:
    """What stays in float, and what that was decided on; signal to noise in decibels."""

    kept: tuple[str, ...]
    before: float
    """With no layer in float."""
    reached: float
    alone: dict[str, float]
    """Of each kept layer, what it reached alone in float, or its group did."""
    tried: int
    """How many models were made and tried."""


def fewest(layers: Sequence[str], score: Callable[[Sequence[str]], float], wanted: float, progress: Progress) -> Found:
    """The shortest beginning of the layers, the most sensitive first, with which `wanted` is reached. At most
    1 + `MOST` + log2(`MOST`) models are made.

    Args:
        layers: those that would be integers, in the order of the graph.
        score: signal to noise of the outputs with these layers in float.

    Raises:
        RecipeFailed: it is not reached while a layer is left on integers.
    """
    before = score(())
    if before >= wanted:
        return Found((), before, before, {}, 1)
    parts = [list(map(str, part)) for part in np.array_split(np.array(layers), min(len(layers), MOST))]
    groups = parts if len(parts) > 1 else []
    alone = [score(group) for group in progress.over(groups, "sensitivity of layers", len(groups))]
    ranked = sorted(range(len(groups)), key=lambda index: -alone[index])
    reached: dict[int, float] = {1: max(alone)} if groups else {}

    def holds(count: int) -> bool:
        if count not in reached:
            reached[count] = score([name for index in ranked[:count] for name in groups[index]])
        return reached[count] >= wanted

    low, high = 1, len(groups) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    tried = 1 + len(groups)
    if not groups or not holds(low):
        best = max([before, *alone, *reached.values()])
        raise RecipeFailed(
            f"quantize: {wanted:g} dB of signal to noise are not reached while a layer is left on integers; the most "
            f"was {best:.1f} dB, with none in float {before:.1f}; lower `signal_to_noise`"
        )
    kept = [(name, alone[index]) for index in ranked[:low] for name in groups[index]]
    tried += len(reached) - 1
    return Found(tuple(name for name, _ in kept), before, reached[low], dict(kept), tried)
