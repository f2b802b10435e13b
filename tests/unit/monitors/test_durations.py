"""Durations as Prometheus writes them."""

from __future__ import annotations

import argparse

import pytest

from makeweight_monitors import durations


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("1h30m", 5400), ("7d", 604_800), ("250ms", 0.25)])
def test_a_duration_in_seconds(text: str, seconds: float) -> None:
    assert durations.seconds(text) == seconds


@pytest.mark.parametrize("text", ["soon", "", "5", "0s", "5m!", "2000d", "-5m"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=text or "no duration"):
        durations.seconds(text)
