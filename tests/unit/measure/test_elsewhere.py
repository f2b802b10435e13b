"""Whether answers on a device are those of the evaluation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from makeweight.measure.elsewhere import unlike
from makeweight_probe.outputs import MOST, outputs

HERE = {"0:0": np.array([10.0, 0.0]), "0:1": np.array([1, 2]), "1:0": np.array([0.0, 10.0]), "1:1": np.array([3, 4])}
NAMES = ("scores", "counts")


def moved(**by: Any) -> dict[str, Any]:
    return {name: values + by.get(f"at{name.replace(':', '')}", 0) for name, values in HERE.items()}


def test_the_same_answers_are_alike() -> None:
    assert unlike(HERE, HERE, NAMES, {"scores": 30.0}) is None


@pytest.mark.parametrize(
    ("off", "left", "told"),
    [
        (0.09, 60.0, False),  # rounding: beyond 40 dB, whatever compression left
        (0.3, 60.0, True),
        (0.3, None, True),
        (0.3, 20.0, False),  # compression did more
    ],
)
def test_an_output_that_differs_more_than_compression_made_it(off: float, left: float | None, told: bool) -> None:
    found = unlike(moved(at00=np.array([off, 0])), HERE, NAMES, {"scores": left})
    assert (found is not None) is told
    if found is not None:
        # a power of 200 against that of one number that is off
        assert found.decibels == pytest.approx(10 * math.log10(200 / off**2))
        assert (found.output, found.compression) == ("scores", left)


def test_the_output_that_differs_most_is_named() -> None:
    found = unlike(moved(at00=0.5, at11=np.array([3, 0])), HERE, NAMES, {})
    assert found is not None
    assert found.output == "counts"


def test_what_has_another_size_or_is_not_there_is_not_compared() -> None:
    assert unlike({}, HERE, NAMES, {}) is None
    assert unlike(HERE, {}, NAMES, {}) is None
    assert unlike({"0:0": np.array([9.0])}, HERE, NAMES, {}) is None


def test_numbers_from_all_over_a_large_output_are_kept() -> None:
    large = np.arange(3.0 * MOST).reshape(3, MOST)
    given = [[scale * large, np.array(["a"]), np.array(7.0 * scale)] for scale in (1.0, 2.0)]
    answered = outputs(given)
    assert set(answered) == {"0:0", "0:2", "1:0", "1:2"}
    np.testing.assert_array_equal(answered["1:0"], 6.0 * np.arange(MOST))
    assert float(answered["1:2"]) == 14


def _classes(turned: int, count: int = 64) -> tuple[dict[str, Any], dict[str, Any]]:
    """Classes that a model picks, and the same with so many of them others."""
    here = np.arange(count) % 10
    there = np.where(np.arange(count) < turned, (here + 3) % 10, here)
    return {f"{place}:0": there[place : place + 1] for place in range(count)}, {
        f"{place}:0": here[place : place + 1] for place in range(count)
    }


@pytest.mark.parametrize(
    ("turned", "left", "told"),
    [(0, None, False), (1, None, False), (3, None, False), (6, None, True), (6, 0.9, False), (20, 0.9, True)],
    ids=["none", "a tie", "some ties", "many", "fewer than compression turned", "more than compression turned"],
)
def test_classes_that_tip_over_are_ties_unless_they_are_many(turned: int, left: float | None, told: bool) -> None:
    found = unlike(*_classes(turned), ("class",), {"class": 3.0 if left else None}, {"class": left} if left else {})
    assert (found is not None) is told
    if found is not None:
        assert (found.same, found.compression_same) == (1 - turned / 64, left)


def test_pixels_that_are_off_by_one_are_alike() -> None:
    here = {"0:0": np.random.default_rng(0).integers(0, 255, 1000).astype(np.uint8)}
    assert unlike({"0:0": here["0:0"] ^ (np.arange(1000) % 3 == 0)}, here, ("image",), {}) is None
