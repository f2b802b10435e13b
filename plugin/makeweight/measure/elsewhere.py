"""Whether a model answers on a device as it did where it was evaluated: what a processor adds up in how many bits, and
how it rounds that, is its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from makeweight_probe.answers import Noise

_SLIGHT = 40.0
"""Decibels of noise that is a hundredth of what the answers are: what integers of 8 bits leave themselves."""


@dataclass(frozen=True)
class Unlike:
    """An output that a device has otherwise."""

    output: str
    decibels: float
    """Signal to noise of the device's answers against those of the evaluation."""
    compression: float | None
    """The same of the model's answers against those of the baseline, where both were had; None: not known."""


def unlike(
    there: Mapping[str, NDArray[Any]],
    here: Mapping[str, NDArray[Any]],
    names: Iterable[str],
    compression: Mapping[str, float | None],
) -> Unlike | None:
    """The output that a device changes most, where that is more than compression changed it; None: there is none.

    What rounding does on another processor leaves 40 dB and more, and is passed over.

    Args:
        there: on the device, arrays named `sample:output` by position.
        here: where it was evaluated.
        names: of the outputs, by position.
        compression: signal to noise by output that compressing left.
    """
    found = []
    for position, name in enumerate(names):
        decibels = _decibels(position, there, here)
        left = compression.get(name)
        if decibels is not None and decibels < min(_SLIGHT, _SLIGHT if left is None else left):
            found.append(Unlike(name, decibels, left))
    return min(found, key=lambda each: each.decibels, default=None)


def _decibels(position: int, there: Mapping[str, NDArray[Any]], here: Mapping[str, NDArray[Any]]) -> float | None:
    """Over all samples that both have; None where nothing can be compared."""
    noise = Noise()
    for key in sorted(set(there) & set(here)):
        if int(key.partition(":")[2]) == position:
            noise.add(here[key], there[key])
    return noise.decibels()
