"""Which cells of a matrix two models have, and why not the others."""

from __future__ import annotations

import pytest

from makeweight.artifact.artifact import Manifest
from makeweight.artifact.ports import Port
from makeweight.artifact.trial import Trial
from makeweight.bench import grid
from makeweight.devices.device import DeviceOptions
from makeweight_probe.job import Result
from model_values import invented_model


def manifest(name: str, batch: int | None = None, *, dependent: bool = False) -> Manifest:
    model = invented_model(inputs=(Port("x", (batch, 8), "float32"),))
    trial = Trial(16, "baseline", {}, dependent=True) if dependent else None
    return Manifest(name, "ready", "onnxruntime", [], 0, None, {}, model=model, trial=trial)


def asked(baseline: Manifest, variant: Manifest, served: int | None = None, **matrix: list[int]) -> grid.Grid:
    options = DeviceOptions.model_validate({"threads": 2, "matrix": matrix})
    found = grid.of(options, baseline, variant, served)
    assert found is not None
    return found


def test_nothing_is_measured_unless_it_is_declared() -> None:
    assert grid.of(DeviceOptions(), manifest("baseline"), manifest("int8"), None) is None


def test_what_is_left_out_is_as_latency_is_measured() -> None:
    free = manifest("baseline"), manifest("int8")
    assert asked(*free, batch=[8, 1]) == grid.Grid((1, 8), {}, (2,), 1)
    assert asked(*free, threads=[4, 1]) == grid.Grid((1,), {}, (1, 4), 1)
    assert asked(*free, 5, threads=[1]) == grid.Grid((5,), {}, (1,), 5)
    assert asked(manifest("baseline", 4), manifest("int8", 4), threads=[1]) == grid.Grid((4,), {}, (1,), 4)


@pytest.mark.parametrize(
    ("baseline", "variant", "reason", "left"),
    [
        (manifest("baseline", 8), manifest("int8"), "`baseline` takes batches of 8 alone", (8,)),
        (manifest("baseline"), manifest("int8", 1), "`int8` takes batches of 1 alone", (1,)),
        (
            manifest("baseline"),
            manifest("dynamic", dependent=True),
            "answers of `dynamic` depend on the examples beside them, so it is asked for 1 at a time",
            (1,),
        ),
    ],
    ids=["the baseline's file", "the variant's file", "answers of neighbours"],
)
def test_a_batch_that_a_model_rules_out_has_its_reason(
    baseline: Manifest, variant: Manifest, reason: str, left: tuple[int, ...]
) -> None:
    found = asked(baseline, variant, batch=[1, 8, 32])
    assert found.feasible == left
    assert set(found.lacking.values()) == {reason}
    assert set(found.batches) == {1, 8, 32}


def test_a_result_tells_what_was_asked_for_and_why_some_of_it_is_not_there() -> None:
    found = asked(manifest("baseline"), manifest("int8", 1), batch=[1, 8])
    told = found.told(4, Result({}, {"seconds": 1.0, "lacking": {"1": "no time"}}))
    assert told.facts == {
        "seconds": 1.0,
        "threads": 4,
        "batches": [1, 8],
        "lacking": {"1": "no time", "8": "`int8` takes batches of 1 alone"},
    }
