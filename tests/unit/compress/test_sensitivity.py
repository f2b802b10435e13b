"""Which layers stay in float, where the noise of each layer is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest

from makeweight.compress.sensitivity import MOST, fewest
from makeweight.runtimes.runtime import RecipeFailed
from makeweight_base.progress import Silent


class Noises:
    """Layers whose noise adds up, under a signal of power one."""

    def __init__(self, count: int) -> None:
        powers = np.random.default_rng(count).exponential(size=count) ** 3 * 1e-3
        self.of = {f"layer{index}": float(power) for index, power in enumerate(powers)}
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, kept: Sequence[str]) -> float:
        self.asked.append(tuple(kept))
        return self.left(kept)

    def left(self, kept: Sequence[str]) -> float:
        return -10 * math.log10(sum(power for name, power in self.of.items() if name not in kept))


@pytest.mark.parametrize("wanted", [15, 22, 25, 30, 35])
def test_no_smaller_set_of_layers_would_do(wanted: float) -> None:
    noises = Noises(9)
    found = fewest(list(noises.of), noises, wanted, Silent())
    subsets = (kept for size in range(9) for kept in combinations(noises.of, size))
    smallest = next(kept for kept in subsets if noises.left(kept) >= wanted)
    assert len(found.kept) == len(smallest)
    assert found.reached == noises.left(found.kept) >= wanted
    assert found.alone == {name: noises.left([name]) for name in found.kept}
    assert found.tried == len(noises.asked) == len(set(noises.asked))


def test_what_holds_already_keeps_none_and_measures_nothing() -> None:
    noises = Noises(9)
    found = fewest(list(noises.of), noises, 5, Silent())
    assert (found.kept, found.tried, noises.asked) == ((), 1, [()])


def test_a_deep_network_is_measured_in_groups() -> None:
    noises = Noises(500)
    found = fewest(list(noises.of), noises, noises.left(()) + 3, Silent())
    assert len(noises.asked) == found.tried <= 1 + MOST + math.ceil(math.log2(MOST)) + 1
    assert found.reached == noises.left(found.kept) >= noises.left(()) + 3
    assert len(found.kept) < 250
    assert len(set(map(len, noises.asked[1 : 1 + MOST]))) == 2  # seven layers or eight


@pytest.mark.parametrize("count", [1, 2, 5])
def test_what_is_not_reached_says_what_was(count: int) -> None:
    noises = Noises(count)
    with pytest.raises(RecipeFailed, match=f"90 dB .* not reached .* with none in float {noises.left(()):.1f}"):
        fewest(list(noises.of), noises, 90, Silent())


def test_a_candidate_that_could_not_be_made_is_passed_over() -> None:
    noises = Noises(9)
    worst = max(noises.of, key=lambda name: noises.of[name])

    def score(kept: Sequence[str]) -> float:
        return -math.inf if worst in kept else noises(kept)

    with pytest.raises(RecipeFailed, match="lower `signal_to_noise`"):
        fewest(list(noises.of), score, noises.left([worst]), Silent())
    near = noises.left(()) + 0.05
    assert worst not in fewest(list(noises.of), score, near, Silent()).kept
