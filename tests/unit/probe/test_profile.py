"""What operators take: from a profiler's trace to times that add up."""

from __future__ import annotations

from typing import Any

import pytest

from makeweight_probe import profile, sessions
from makeweight_probe.job import Model, ProfileJob
from makeweight_probe.session import Span
from makeweight_probe.sessions.executorch import of_etdump
from makeweight_probe.sessions.onnxruntime import of_trace


def node(name: str, kind: str, ts: int, dur: int, *types: str) -> dict[str, Any]:
    told = {"op_name": kind, "input_type_shape": [{each: [1, 8]} for each in types]}
    return {"cat": "Node", "name": f"{name}_kernel_time", "ts": ts, "dur": dur, "args": told}


def inference(ts: int, dur: int) -> dict[str, Any]:
    return {"cat": "Session", "name": "model_run", "ts": ts, "dur": dur, "args": {}}


def test_a_trace_is_parted_into_inferences_and_types_tell_what_ran() -> None:
    events = [
        {"cat": "Session", "name": "session_initialization", "ts": 0, "dur": 90, "args": {}},
        node("outside", "Conv", 95, 2, "float"),
        node("q", "QuantizeLinear", 101, 2, "float", "uint8"),
        node("c", "QLinearConv", 104, 9, "uint8", "int8"),
        node("r", "Resize", 114, 30, "float", "int64"),
        node("s", "Shape", 145, 1, "int64"),
        {"cat": "Node", "name": "c_fence_before", "ts": 103, "dur": 1, "args": {}},
        inference(100, 50),
        node("q", "QuantizeLinear", 201, 4, "float", "uint8"),
        inference(200, 50),
    ]
    first, second = of_trace(events)
    assert [(each.name, each.kind, each.ran, each.ns) for each in first] == [
        ("q", "QuantizeLinear", "conversion", 2e3),
        ("c", "QLinearConv", "integer", 9e3),
        ("r", "Resize", "float", 30e3),
        ("s", "Shape", None, 1e3),
    ]
    assert [each.ns for each in second] == [4e3]


def test_what_lies_within_another_operator_is_counted_once() -> None:
    """A branch of 10 with 3 and 4 in it has 3 of its own; the 4 holds 1 more."""
    spans = [
        Span("if", "If", None, 0, 10),
        Span("first", "Add", "float", 1, 3),
        Span("second", "Loop", None, 5, 4),
        Span("inner", "Mul", "float", 6, 1),
        Span("after", "Relu", "float", 10, 2),
    ]
    taken = {each["name"]: each["ns"] for each in profile.summed([spans])}
    assert taken == {"if": 3, "first": 3, "second": 3, "inner": 1, "after": 2}
    assert sum(taken.values()) == 12


def test_the_middle_half_of_the_inferences_counts_and_repeats_add_up() -> None:
    """Eight inferences with one outlier each way: of 0, 1, 1, 2, 2, 3, 3, 999 the middle four have the mean 2."""
    runs = [[Span("x", "Add", None, 0, ns)] for ns in (0, 1, 1, 2, 2, 3, 3, 999)]
    assert profile.summed(runs)[0]["ns"] == 2
    twice = [[Span("x", "Add", None, 0, 2), Span("x", "Add", None, 5, 4)]]
    assert profile.summed(twice) == [{"name": "x", "kind": "Add", "ran": None, "ns": 6}]


def test_a_runtime_without_a_profile_says_why() -> None:
    told = sessions.profiling(Model("litert", "nowhere.tflite", 1))
    assert isinstance(told, str)
    assert "profiler" in told
    job = ProfileJob(((Model("litert", "nowhere.tflite", 1), "nowhere.npz"),))
    assert profile.measure(job).facts == {"profiles": [{"unavailable": told}]}


@pytest.mark.parametrize("data", [b"", b"\0\0\0\0ED00", b"\x10\0\0\0\xff\xff\xff\x7f" + b"\0" * 30])
def test_what_is_no_etdump_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="reaches beyond"):
        of_etdump(data)
