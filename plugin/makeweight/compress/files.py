"""How any step changes a model file: which layers are left alone, weights that are no numbers, the file afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.compress.deadend import excluded
from makeweight.compress.subject import Subject
from makeweight.compress.technique import Given
from makeweight.runtimes.runtime import RecipeFailed
from makeweight.runtimes.weights import Weights


def weights_of(subject: Subject, given: Given) -> Weights:
    """Those of a model file."""
    if given.weights is None:
        raise RecipeFailed("no runtime is there that changes the weights of a file")
    return given.weights(subject.source)


def left_alone_in(weights: Weights, patterns: Sequence[str], technique: str) -> set[str]:
    """The layers of a file that a step's `exclude` means.

    Raises:
        RecipeFailed: a pattern fits none of them.
    """
    names = [*(name for names in weights.layers.values() for name in names), *weights.kept]
    meant = set(excluded(patterns, names, technique))
    return {layer for layer, names in weights.layers.items() if meant & {*names}}


def finite(weights: Weights, name: str, technique: str) -> NDArray[Any]:
    """A weight of a file.

    Raises:
        RecipeFailed: it holds NaN or infinity.
    """
    values = weights.values(name)
    if not np.isfinite(values).all():
        raise RecipeFailed(f"{technique}: `{name}` holds NaN or infinity; train or export the model anew")
    return values


def saved(subject: Subject, weights: Weights, given: Given, technique: str) -> Subject:
    """The subject with the changed file, which is given up with the other intermediate ones."""
    suffix = Path(subject.source.files[0].name).suffix
    return replace(subject, source=weights.save(given.scratch / f"{technique}{suffix}"))


def noted(unreached: Mapping[str, str]) -> dict[str, Any]:
    """What the manifest has of layers that a step does not reach: their names, by reason."""
    return {"not reached": by_reason(unreached)} if unreached else {}


def by_reason(reasons: Mapping[str, str]) -> dict[str, list[str]]:
    """Layers by what is said of each."""
    found: dict[str, list[str]] = {}
    for layer, reason in reasons.items():
        found.setdefault(reason, []).append(layer)
    return found
