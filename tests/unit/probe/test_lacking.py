"""What cannot be measured on a machine: each with its reason and what to do."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from file_locks import waited_for
from makeweight_probe import facts, lacking, memory, meters, slowing
from makeweight_probe.alone import LOCK, locked

TELLING = {"load": 0.5, "temperature_millicelsius": "41000", "frequency_khz": "2400000"}
MUTE = dict.fromkeys(TELLING)


def told(conditions: dict[str, Any], *, emulated: bool = False, **runtimes: str) -> dict[str, lacking.Lack | None]:
    return lacking.told({"emulated": emulated, "runtimes": runtimes}, conditions, {"kind": "stream", "power": 0})


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox that hides all of it."""

    def hidden() -> int:
        raise memory.NoHighWaterMark("/proc/self/status cannot be read")

    monkeypatch.setattr(memory, "peak_bytes", hidden)
    monkeypatch.setattr(facts, "last_level_cache", lambda: None)
    monkeypatch.setattr(slowing, "is_told", lambda: False)


@pytest.mark.usefixtures("bare")
def test_each_thing_that_is_lacking_has_a_reason_and_says_what_to_do() -> None:
    found = told(MUTE)
    assert set(found) == {
        "latency", "peak memory", "energy", "cold latency", "load", "temperature", "frequency", "throttling",
    }  # fmt: skip
    for what, lack in found.items():
        assert lack is not None, what
        reason, do = lack
        assert reason
        assert not reason.endswith("."), what
        assert do.endswith("."), what
    assert "/proc/self/status cannot be read" in str(found["peak memory"])
    assert found["energy"] == ("the meter `stream` needs `path`", "Mend `meter:` of the device.")


def test_what_a_machine_tells_is_not_lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "last_level_cache", lambda: 1 << 25)
    monkeypatch.setattr(slowing, "is_told", lambda: False)
    found = told({**TELLING, "thermal_status": 0}, onnxruntime="1.23.2")
    assert {what for what, lack in found.items() if lack is not None} == {"energy"}


def test_nothing_that_is_timed_is_had_of_an_emulated_processor() -> None:
    found = told(TELLING, emulated=True, onnxruntime="1.23.2")
    for what in ("latency", "peak memory", "energy", "cold latency"):
        lack = found[what]
        assert lack is not None
        assert "the processor is emulated" in lack[0]


def test_a_meter_that_is_named_is_not_read_beside_who_measures_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes from a serial port comes to one of two readers."""
    lock, opened = tmp_path / "lock", list[object]()

    def find(asked: object) -> meters.Meter:
        opened.append(asked)
        raise meters.NoMeter("it is gone")

    monkeypatch.setenv(LOCK, str(lock))
    monkeypatch.setattr(meters, "find", find)
    with ThreadPoolExecutor(1) as beside, locked(lock, lambda: None):
        lacking.told({"emulated": False, "runtimes": {}}, TELLING)
        asked = beside.submit(told, TELLING)
        while not waited_for(lock):
            assert not asked.done(), asked.result()
            time.sleep(0.02)
        assert opened == [None], "one of this machine's own has the same for all who read it"
    energy = asked.result()["energy"]
    assert energy is not None
    assert energy[0] == "it is gone"
