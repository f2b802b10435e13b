"""Whether a model answers on a device as it did where it was evaluated: what a processor adds up in how many bits, and
how it rounds that, is its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

from makeweight.measure.statistics import wilson
from makeweight_probe.answers import Noise

_SLIGHT = 40.0
"""Decibels of noise that is a hundredth of what the answers are: what integers of 8 bits leave themselves."""
_TIES = 0.02
"""The share of integers that rounding may turn: classes whose scores are as good as equal."""
_ROUNDING = 60.0
"""Decibels: what rounding does to float32 leaves 100 and more, a step of integers that tips over now and then 70 and
more."""


@dataclass(frozen=True)
class Unlike:
    """An output that a device has otherwise."""

    output: str
    decibels: float
    """Signal to noise of the device's answers against those of the evaluation."""
    compression: float | None
    """The same of the model's answers against those of the baseline, where both were had; None: not known."""
    same: float | None = None
    """Where the output is integers, the share of them that is the evaluation's."""
    compression_same: float | None = None
    """See `compression`."""


def unlike(
    there: Mapping[str, NDArray[Any]],
    here: Mapping[str, NDArray[Any]],
    names: Iterable[str],
    compression: Mapping[str, float | None],
    compression_same: Mapping[str, float] = MappingProxyType({}),
) -> Unlike | None:
    """The output that a device changes most, where that is more than compression changed it; None: there is none.

    What rounding does on another processor leaves 40 dB and more, and is passed over. Of integers it may turn the ones
    that were nearly others: too many have to be so besides, see `beyond_ties`.

    Args:
        there: on the device, arrays named `sample:output` by position.
        here: where it was evaluated.
        names: of the outputs, by position.
        compression: signal to noise by output that compressing left.
        compression_same: of outputs that are integers, the share that it left the same.
    """
    found = []
    for position, name in enumerate(names):
        noise = _noise(position, there, here)
        decibels, left = noise.decibels(), compression.get(name)
        if decibels is None or decibels >= min(_SLIGHT, _SLIGHT if left is None else left):
            continue
        if noise.same is None:
            found.append(Unlike(name, decibels, left))
        elif beyond_ties(noise.same, compression_same.get(name)):
            share = noise.same[0] / noise.same[1]
            found.append(Unlike(name, decibels, left, share, compression_same.get(name)))
    return min(found, key=lambda each: each.decibels, default=None)


def beyond_rounding(decibels: float | None, same: tuple[int, int] | None) -> bool:
    """Whether two answers of one model differ by more than the order in which it adds up.

    Args:
        decibels: signal to noise of the one against the other; None: nothing could be compared.
        same: see `beyond_ties`; where they are integers, this decides.
    """
    if same is not None:
        return beyond_ties(same)
    return decibels is not None and decibels < _ROUNDING


def beyond_ties(same: tuple[int, int] | None, left: float | None = None) -> bool:
    """Whether so many integers are others that it was not a few that two answers were equally near to.

    Args:
        same: how many are the same, and of how many; None: they are no integers, or none were compared.
        left: a share that they may be below for a known reason.
    """
    if same is None:
        return False
    return wilson(*same)[1] < min(1 - _TIES, 1.0 if left is None else left)


def _noise(position: int, there: Mapping[str, NDArray[Any]], here: Mapping[str, NDArray[Any]]) -> Noise:
    """Over all samples that both have."""
    noise = Noise()
    for key in sorted(set(there) & set(here)):
        if int(key.partition(":")[2]) == position:
            noise.add(here[key], there[key])
    return noise
