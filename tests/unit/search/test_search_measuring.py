"""What measures trials on devices."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from makeweight.devices.device import DeviceOptions
from makeweight.devices.entry import DeviceEntry
from makeweight.evidence import benchmark
from makeweight.evidence.benchmark import Benchmark
from makeweight.measure.timings import Timings
from makeweight.search.measuring import Measuring


def test_the_baselines_memory_is_measured_on_each_device_beside_the_first_trial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[tuple[str, str, list[Any]]] = []

    def carry_out(_: Any, entry: DeviceEntry, name: str, *__: Any, memory: Any, **___: Any) -> Benchmark:
        given.append((name, entry.name, list(memory)))
        return Benchmark(Timings((), {"a": list(memory) or [{"load": f"of {entry.name}"}], "b": []}), [])

    monkeypatch.setattr(benchmark, "carry_out", carry_out)
    devices = {name: DeviceEntry(name, "local", DeviceOptions()) for name in ("pi5", "x86")}
    measuring = Measuring(None, devices, [], None)  # type: ignore[arg-type]
    for name in ("first", "second"):
        measuring.submit(SimpleNamespace(runtime="onnxruntime"), name).result()  # type: ignore[arg-type]
    measuring.close()
    assert given == [
        ("first", "pi5", []),
        ("first", "x86", []),
        ("second", "pi5", [{"load": "of pi5"}]),
        ("second", "x86", [{"load": "of x86"}]),
    ]
