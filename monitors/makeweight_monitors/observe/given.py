"""What an observer is told of one arm or of both: read where it is a file, and in agreement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from makeweight_base.errors import UsageError
from makeweight_monitors import reference as references
from makeweight_monitors.metrics import VARIANTS
from makeweight_monitors.reference import Reference, ScoreKind

BINS = 20
"""Of the confidence, where no reference says which."""
Read = TypeVar("Read")


def of_references(given: Any, variant: str) -> dict[str, Reference]:
    """By variant; of one task."""
    by_arm = by_variant(given, variant, references.read)
    if len({reference.task for reference in by_arm.values()}) > 1:
        raise UsageError("the references of stable and canary are of different tasks", where="reference")
    return by_arm


def confidence(given: Mapping[str, Reference], scores: ScoreKind | None) -> tuple[ScoreKind | None, tuple[float, ...]]:
    """How scores are read, and the inner edges of the bins that both arms share."""
    each = [reference.confidence for reference in given.values() if reference.confidence is not None]
    if not each:
        return scores, tuple(number / BINS for number in range(1, BINS))
    if any(one.edges != each[0].edges for one in each):
        raise UsageError(
            "the references of stable and canary have different bins",
            where="reference",
            do="Take both from one run of `dvc repro`.",
        )
    return scores or each[0].scores, each[0].edges[1:-1]


def by_variant(given: Any, variant: str, read: Callable[[Path], Read]) -> dict[str, Read]:
    """What was given for one arm or for both, read where it is a path."""
    if given is None:
        return {}
    for_each = given if isinstance(given, Mapping) else {variant: given}
    unknown = set(for_each) - set(VARIANTS)
    if unknown:
        raise UsageError(f"{sorted(unknown)} are neither `stable` nor `canary`", where="reference, manifest")
    return {name: read(Path(one)) if isinstance(one, str | Path) else one for name, one in for_each.items()}


def rising(edges: Sequence[float], where: str) -> tuple[float, ...]:
    """Inner edges of bins; UsageError where they do not rise."""
    numbers = tuple(float(edge) for edge in edges)
    if not all(map(isfinite, numbers)) or any(a >= b for a, b in pairwise(numbers)):
        raise UsageError(f"edges that do not rise: {list(edges)}", where=where)
    return numbers
