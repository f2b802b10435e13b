"""Measurements: what they may be, and that their file keeps all of it."""

import json
import math
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeweight.budget.measurand import Comparison, Measurand
from makeweight.measurement import Cause, Measurement, dumps, key_of, keyed, loads, unavailable
from makeweight_base.errors import UsageError

real = st.floats(-1e12, 1e12)
metrics = st.sampled_from(["size", "accuracy", "latency_p50", "µ"])
comparisons, slices = st.sampled_from([None, *get_args(Comparison)]), st.sampled_from([None, "dim light"])
text = st.none() | st.text(max_size=8)
measured = st.builds(
    Measurement,
    metrics,
    st.just("int8"),
    st.sampled_from(["B", "s", "fraction"]),
    real,
    st.none() | st.tuples(real, real),
    st.none() | st.integers(0, 10**9),
    st.text(max_size=8),
    text,
    text,
    st.sampled_from(["measured", "estimated"]),
    st.none(),
    st.none() | st.floats(0, 10),
    text,
    text,
    comparison=comparisons,
    slice=slices,
    control=st.booleans(),
)
causes = st.sampled_from([None, *get_args(Cause)])
measurands = st.builds(Measurand, metrics, comparisons, slices, st.booleans())
absent = st.builds(
    unavailable, measurands, st.just("int8"), st.just("J"), st.text(min_size=1, max_size=8), device=text, cause=causes
)
SIZE = Measurement("size", "int8", "B", 5.0, (4.0, 6.0), 3, "counted", device="pi5", noise_floor=0.01, key="k")


@given(st.lists(measured | absent, max_size=5, unique_by=lambda one: one.measurand.name))
def test_measurements_survive_their_file(listed: list[Measurement]) -> None:
    written = dumps(listed)
    assert loads(written, "evaluate.json") == listed
    assert dumps(loads(written, "evaluate.json")) == written


def test_the_baselines_figures_are_kept_and_not_shown_beside_the_variants() -> None:
    pair = [SIZE, replace(SIZE, variant="baseline", value=9.0)]
    assert loads(dumps(pair), "f") == pair
    assert json.loads(dumps(pair))["size_kb"] == 0.005
    assert json.loads(dumps(pair[1:]))["size_kb"] == pytest.approx(0.009), "alone it is what the file is about"


def test_dvc_sees_figures_that_survive_its_five_decimals() -> None:
    """DVC makes a column of every number that is not within a list, and rounds it."""
    figures = [
        SIZE,
        replace(SIZE, metric="latency_p50", unit="s", value=0.000123, interval=None),
        replace(SIZE, metric="accuracy", unit="fraction", value=0.975, interval=None),
        unavailable(Measurand("energy"), "int8", "J", "no meter"),
    ]
    data = json.loads(dumps(figures))
    assert len(data.pop("measurements")) == 4
    assert data == {"size_kb": 0.005, "latency_p50_ms": pytest.approx(0.123), "accuracy": 0.975}


@pytest.mark.parametrize(
    "changes",
    [
        {"value": None},
        {"value": math.nan},
        {"value": math.inf},
        {"interval": (0.0, math.inf)},
        {"interval": (math.nan, 1.0)},
        {"noise_floor": math.inf},
        {"noise_floor": -0.1},
        {"samples": -1},
        {"status": "unavailable", "reason": "but it has a value"},
        {"status": "unavailable", "value": None},
        {"status": "guessed"},
        {"comparison": "quotient"},
        {"cause": "bad luck"},
    ],
)
def test_what_is_no_measurement_cannot_be_made(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^size: "):
        replace(SIZE, **changes)


@given(st.integers(0, len(dumps([SIZE])) - 2))
def test_a_file_that_was_cut_short_is_refused(length: int) -> None:
    with pytest.raises(UsageError, match=r"^reports/int8/pi5\.json: this is no file of measurements"):
        loads(dumps([SIZE])[:length], "reports/int8/pi5.json")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"value": 5.0', '"value": NaN'),
        ('"value": 5.0', '"value": "five"'),
        ('"value": 5.0', '"value": null'),
        ('"value": 5.0,', ""),
        ('"value": 5.0', '"value": 4.0'),
        ('"size_kb": 0.005', '"size_kb": 0.004'),
        ("4.0,", "-Infinity,"),
        ("4.0,", ""),
        ('"samples": 3', '"samples": "some"'),
        ('"status": "measured"', '"status": "guessed"'),
        pytest.param('"value": 5.0', f'"value": {10**400}', id="a value beyond all"),
        ('"value": 5.0', '"value": true'),
        pytest.param("4.0,", f"{10**400},", id="an end beyond all"),
        ("4.0,", '"4.0",'),
        pytest.param('"noise_floor": 0.01', f'"noise_floor": {10**400}', id="a noise floor beyond all"),
        ('"samples": 3', '"samples": 3.5'),
        ('"metric": "size",', '"metric": ["size"],'),
        ('"metric": "size",', '"metric": null,'),
        ('"device": "pi5"', '"device": {}'),
        ('"metric": "size",', ""),
        ('"unit": "B"', '"unti": "B"'),
        ('"measurements": [', '"measurements": [{}, '),
        ('"measurements": [', '"measurments": ['),
        ("{", "[{"),
        ("{", "<<<<<<< HEAD\n{"),
    ],
)
def test_a_damaged_file_is_refused(old: str, new: str) -> None:
    written = dumps([SIZE])
    assert old in written
    with pytest.raises(UsageError, match="this is no file of measurements"):
        loads(written.replace(old, new, 1), "f.json")


@pytest.mark.parametrize(
    "content", ["[]", "null", "5", '"x"', '{"size": 5}', '{"measurements": 5}', '{"measurements": [5]}']
)
def test_other_json_is_refused(content: str) -> None:
    with pytest.raises(UsageError, match="this is no file of measurements"):
        loads(content, "f.json")


def test_a_stale_figure_keeps_its_place_and_loses_its_value() -> None:
    stale = SIZE.stale("the model changed")
    drop = Measurement("accuracy", "int8", "fraction", 0.1, comparison="drop", slice="night").stale("the model changed")
    assert (stale.measurand, stale.variant, stale.device) == (SIZE.measurand, SIZE.variant, SIZE.device)
    assert drop.measurand == Measurand("accuracy", "drop", "night")
    assert (stale.status, stale.value, stale.interval, stale.key) == ("unavailable", None, None, None)
    assert (stale.reason, stale.cause) == ("stale: the model changed", "stale")


def test_keyed() -> None:
    assert [one.key for one in keyed([SIZE, replace(SIZE, key=None)], "new")] == ["new", "new"]


@given(st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), min_size=2))
def test_a_key_depends_on_what_it_is_made_of_and_not_on_its_order(parts: dict[str, Any]) -> None:
    turned = dict(reversed(parts.items()))
    assert key_of(parts=parts) == key_of(parts=turned)
    name = next(iter(parts))
    assert key_of(parts={**parts, name: [parts[name]]}) != key_of(parts=parts)
