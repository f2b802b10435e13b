"""The inferences that a model is measured with, by the shapes of their inputs: how many examples they have, and what
one costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from makeweight.artifact.ports import Port, Shapes, of_examples


def examples(inputs: Iterable[Port], asked: Sequence[Shapes]) -> int:
    """How many there are in all inferences together."""
    fed = of_examples(inputs)
    return sum(shapes[fed[0].name][0] for shapes in asked)


def mean(asked: Sequence[Shapes], examples: int, cost: Callable[[Shapes], int | None]) -> int | None:
    """Of one example; None where the cost of an inference is not known."""
    total = 0
    for shapes, times in Counter(tuple(sorted(each.items())) for each in asked).items():
        one = cost(dict(shapes))
        if one is None:
            return None
        total += one * times
    return round(total / examples)
