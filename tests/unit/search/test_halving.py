"""Which trainings go on."""

from __future__ import annotations

from collections.abc import Hashable

from makeweight.compress.training_options import TrainingOptions
from makeweight.search.halving import goes_on, rungs_of, yardstick


def test_rungs_are_thirds_of_thirds() -> None:
    assert rungs_of(27) == {1: 9, 2: 3, 3: 1}
    assert rungs_of(3) == {1: 1}
    assert rungs_of(2) == {}


def test_the_first_go_on_and_then_the_best_third() -> None:
    assert goes_on(0.1, [0.9])
    assert not goes_on(0.1, [0.9, 0.8])
    assert goes_on(0.95, [0.9, 0.8])
    # two of six: the second best goes on, the third does not
    assert goes_on(0.8, [0.9, 0.5, 0.4, 0.3, 0.2])
    assert not goes_on(0.5, [0.9, 0.8, 0.4, 0.3, 0.2])


def test_equals_go_on_together() -> None:
    assert goes_on(0.9, [0.9, 0.9, 0.9])


def judged_by(*trainings: TrainingOptions, classifies: bool = False) -> Hashable | None:
    return yardstick(trainings, classifies=classifies)


def test_only_what_is_judged_alike_is_held_against_each_other() -> None:
    plain, own = TrainingOptions(), TrainingOptions(loss="a:b")
    taught, other = (
        TrainingOptions(teacher="baseline", labels=False, temperature=temperature) for temperature in (4.0, 2.0)
    )
    # two losses are two scales, and so is the distance from two teachers; how it is trained is not
    assert len({judged_by(each) for each in (plain, own, taught, other)}) == 4
    assert judged_by(plain) == judged_by(TrainingOptions(lr=0.1, teacher="baseline"), plain)
    assert judged_by(plain, own) is None
    assert judged_by() is None
    # of a classifier that learns from labels it is the accuracy, whatever the loss
    assert judged_by(plain, classifies=True) == judged_by(plain, own, classifies=True)
    assert judged_by(plain, classifies=True) != judged_by(taught, classifies=True)
