"""Numbers on a command line: what is none is refused in words, not by the name of a function."""

from __future__ import annotations

import argparse

import pytest

from makeweight_base.commandline import above_zero, whole


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("300", 300), ("042", 42)])
def test_a_whole_number_within_bounds(text: str, number: int) -> None:
    assert whole(1, 300)(text) == number


@pytest.mark.parametrize("text", ["0", "301", "-1", "1.5", "", "many", "1e2"])
def test_another_whole_number_is_none(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"^`{text}` is no whole number of seconds from 1 to 300$"):
        whole(1, 300, " of seconds")(text)


@pytest.mark.parametrize(("text", "number"), [("0.5", 0.5), ("2", 2.0), ("1e-3", 0.001)])
def test_a_number_above_zero(text: str, number: float) -> None:
    assert above_zero(text) == number


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "", "soon"])
def test_what_is_not_above_zero_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"^`{text}` is no number above zero$"):
        above_zero(text)
