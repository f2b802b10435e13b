"""Which layers stay in float, where the noise of each layer is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from makeweight.artifact.ports import Port
from makeweight.compress import mixed_precision, whole_split
from makeweight.compress.mixed_precision import MixedPrecision, by_sensitivity
from makeweight.compress.sensitivity import MOST, Found, Score, Wanted, fewest
from makeweight.compress.technique import Goal
from makeweight.compress.trial import NeverAnswers
from makeweight.compress.whole_split import WholeSplit
from makeweight.measure.patient import ModelGivenUp
from makeweight.runtimes.format import FLOAT32
from makeweight.runtimes.runtime import RecipeFailed
from makeweight_base.progress import Silent
from split_values import split_of


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


def _found(noises: Noises, wanted: float, score: Score | None = None) -> Found:
    asked = score or noises
    goal = Wanted("signal_to_noise", wanted, asked, lambda value: f"{value:.1f} dB")
    return fewest(list(noises.of), asked, goal, Silent())


@pytest.mark.parametrize("wanted", [15, 22, 25, 30, 35])
def test_no_smaller_set_of_layers_would_do(wanted: float) -> None:
    noises = Noises(9)
    found = _found(noises, wanted)
    subsets = (kept for size in range(9) for kept in combinations(noises.of, size))
    smallest = next(kept for kept in subsets if noises.left(kept) >= wanted)
    assert len(found.kept) == len(smallest)
    assert found.reached == noises.left(found.kept) >= wanted
    assert found.alone == {name: noises.left([name]) for name in found.kept}
    assert found.tried == len(noises.asked) == len(set(noises.asked))


def test_what_holds_already_keeps_none_and_measures_nothing() -> None:
    noises = Noises(9)
    found = _found(noises, 5)
    assert (found.kept, found.tried, noises.asked) == ((), 1, [()])


def test_a_deep_network_is_measured_in_groups() -> None:
    noises = Noises(500)
    found = _found(noises, noises.left(()) + 3)
    assert len(noises.asked) == found.tried <= 1 + MOST + math.ceil(math.log2(MOST)) + 1
    assert found.reached == noises.left(found.kept) >= noises.left(()) + 3
    assert len(found.kept) < 250
    assert len(set(map(len, noises.asked[1 : 1 + MOST]))) == 2  # seven layers or eight


@pytest.mark.parametrize("count", [1, 2, 5])
def test_what_is_not_reached_says_what_was(count: int) -> None:
    noises = Noises(count)
    with pytest.raises(
        RecipeFailed, match=f"not reached .* 90.0 dB is wanted, .* with none in float {noises.left(()):.1f}"
    ):
        _found(noises, 90)


def test_a_candidate_that_could_not_be_made_is_passed_over() -> None:
    noises = Noises(9)
    worst = max(noises.of, key=lambda name: noises.of[name])

    def score(kept: Sequence[str]) -> float:
        return -math.inf if worst in kept else noises(kept)

    with pytest.raises(RecipeFailed, match="`signal_to_noise` is not reached"):
        _found(noises, noises.left([worst]), score)
    near = noises.left(()) + 0.05
    assert worst not in _found(noises, near, score).kept


def test_a_goal_of_its_own_is_asked_for_seldom() -> None:
    """As an accuracy, which falls by the powers of noise that are left, in the order that signal to noise finds."""
    noises, asked = Noises(40), list[int]()

    def accuracy(kept: Sequence[str]) -> float:
        asked.append(len(kept))
        return -sum(power for name, power in noises.of.items() if name not in kept)

    wanted = accuracy(()) / 4
    asked.clear()
    goal = Wanted("max_drop", wanted, accuracy, lambda value: f"a drop of {-value:.4f}")
    found = fewest(list(noises.of), noises, goal, Silent())
    louder = sorted(noises.of, key=lambda name: -noises.of[name])
    fewer = next(count for count in range(40) if accuracy(louder[:count]) >= wanted)
    assert found.kept == tuple(louder[:fewer])
    assert found.judged == {count: accuracy(louder[:count]) for count in found.judged}
    assert len(found.judged) <= 2 + math.ceil(math.log2(40))
    assert found.tried == 40 + len(found.judged)
    with pytest.raises(RecipeFailed, match=r"`max_drop` is not reached .* a drop of -?0\.0000 is wanted"):
        fewest(list(noises.of), noises, Wanted("max_drop", 0, accuracy, goal.show), Silent())


def test_noise_is_no_goal_of_a_model_that_answers_integers_alone() -> None:
    picking: Any = SimpleNamespace(outputs=(Port("class", ("N",), "int64"), Port("seen", ("N",), "bool")))
    untouched: Any = None
    with pytest.raises(RecipeFailed, match="the model answers integers alone; take `max_drop`"):
        by_sensitivity(Goal("signal_to_noise", 30), FLOAT32, untouched, picking, None, untouched, {})


def test_a_model_that_never_answers_the_split_that_its_reference_answered_is_no_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nobody: Any = None
    declared: Any = SimpleNamespace(task=SimpleNamespace(kind="classification"))
    monkeypatch.setattr(whole_split, "refuse_unfit", lambda *_: None)
    monkeypatch.setattr(whole_split, "answer", lambda *_: None)
    whole = WholeSplit(declared, nobody, nobody, split_of("validation", {"x": np.zeros((1, 1))}, np.zeros(1, int)))

    def never(*_: object) -> None:
        raise ModelGivenUp("the model has not answered for 1800 s", where="integers on validation, example 0")

    monkeypatch.setattr(whole_split, "answer", never)
    with pytest.raises(NeverAnswers, match=r"^integers on validation, example 0: .* 1800 s; in float32 it has"):
        whole.drop(nobody)


def test_where_one_never_answers_nobody_waits_for_others_with_other_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    supply: Any = SimpleNamespace(declared=None, runtime=None)
    unasked: Any = None
    mixed = MixedPrecision(supply, unasked, FLOAT32, unasked, None, unasked)
    made: Any = SimpleNamespace()
    mixed.__dict__["integers"] = made

    def failing(error: Exception) -> None:
        def try_out(*_: object) -> None:
            raise error

        monkeypatch.setattr(mixed_precision, "try_out", try_out)

    failing(RecipeFailed("it cannot be run"))
    assert mixed.tried(()) == (-math.inf, made)
    failing(NeverAnswers("it never answers"))
    with pytest.raises(NeverAnswers):
        mixed.tried(())
