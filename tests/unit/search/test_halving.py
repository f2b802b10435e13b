"""Which trainings go on."""

from __future__ import annotations

from makeweight.search.halving import goes_on, rungs_of


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
