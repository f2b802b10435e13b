"""What a profiler told, as it lies on disk, is a profile or is refused; nothing of it is made up."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from makeweight.measure import timings
from makeweight.measure.operators import Damaged, profiles
from makeweight.measure.timings import EMULATED, Timings
from makeweight_probe.job import Result

TOLD: dict[str, Any] = {
    "runs": 50,
    "inference_ns": 9e3,
    "resolution_ns": 1e3,
    "operators": [
        {"name": "c1", "kind": "Conv", "ran": "float", "ns": 4e3},
        {"name": "q", "kind": "QuantizeLinear", "ran": "conversion", "ns": 3e3},
        {"name": "c2", "kind": "Conv", "ran": "float", "ns": 1e3},
    ],
}
NONE = {"unavailable": "no profiler"}


def test_a_profile_comes_back_from_disk_and_adds_up_by_type(tmp_path: Path) -> None:
    timings.write(tmp_path / "t.npz", Timings((), {}, profiles={"a": NONE, "b": TOLD}))
    both = profiles(timings.read(tmp_path / "t.npz"))
    assert both is not None
    before, after = both
    assert before.reason == "no profiler"
    assert list(after.kinds().items()) == [("Conv", pytest.approx(5e-6)), ("QuantizeLinear", pytest.approx(3e-6))]
    assert after.ran("float") == {"Conv": pytest.approx(5 / 8)}
    assert (after.runs, after.inference, after.resolution) == (50, pytest.approx(9e-6), pytest.approx(1e-6))


def test_timings_of_before_there_were_profiles_have_none(tmp_path: Path) -> None:
    assert profiles(Timings((), {})) is None
    timings.write(tmp_path / "t.npz", Timings((), {}))
    assert profiles(timings.read(tmp_path / "t.npz")) is None


def test_an_emulated_processor_profiles_nothing() -> None:
    there = Timings((Result({}, {"identity": {"emulated": True}}),), {}, profiles={"a": TOLD, "b": TOLD})
    both = profiles(there)
    assert both is not None
    assert {each.reason for each in both} == {EMULATED}


@pytest.mark.parametrize(
    "told",
    [
        None, [], {}, {**TOLD, "operators": None}, {**TOLD, "operators": [None]}, {**TOLD, "inference_ns": math.nan},
        {**TOLD, "operators": [{**TOLD["operators"][0], "ns": -1}]}, {**TOLD, "runs": "many"},
        {**TOLD, "operators": [{**TOLD["operators"][0], "ns": math.inf}]},
        {**TOLD, "operators": [{**TOLD["operators"][0], "ran": "magic"}]},
    ],
    ids=[
        "nothing", "a list", "empty", "no operators", "an operator that is none", "no time", "less than none", "words",
        "for ever", "ran as nobody knows",
    ],
)  # fmt: skip
def test_what_is_none_is_refused(told: Any) -> None:
    with pytest.raises(Damaged, match="no profile of operators"):
        profiles(replace(Timings((), {}), profiles={"a": TOLD, "b": told}))
