"""What measures trials on devices."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from types import SimpleNamespace
from typing import Any

import pytest

from makeweight.bench import probe
from makeweight.bench.probe import JobFailed
from makeweight.budget.metric import METRICS
from makeweight.budget.operator import OPERATORS
from makeweight.budget.rule import Rule
from makeweight.devices.device import DeviceFailed, DeviceOptions, Ended, GivenUp
from makeweight.devices.entry import DeviceEntry
from makeweight.evidence import benchmark
from makeweight.evidence.benchmark import Benchmark
from makeweight.measure.timings import Timings
from makeweight.search.measuring import Measuring, unmeasurable
from makeweight_probe.__main__ import NO_PROVIDER, NO_RUNTIME, NO_SETTING


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


def test_a_program_that_is_interrupted_does_not_wait_for_what_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    measured_by: list[threading.Thread] = []

    def carry_out(*_: Any, **__: Any) -> Benchmark:
        measured_by.append(threading.current_thread())
        raise DeviceFailed("it does not answer")

    monkeypatch.setattr(benchmark, "carry_out", carry_out)
    measuring = Measuring(None, {"pi5": DeviceEntry("pi5", "local", DeviceOptions())}, [], None)  # type: ignore[arg-type]
    future = measuring.submit(SimpleNamespace(runtime="onnxruntime"), "first")  # type: ignore[arg-type]
    assert isinstance(future.exception(), DeviceFailed)
    assert [thread.daemon for thread in measured_by] == [True]
    measuring.close()
    with pytest.raises(CancelledError):
        measuring.submit(SimpleNamespace(runtime="onnxruntime"), "second").result()  # type: ignore[arg-type]
    assert len(measured_by) == 1


@pytest.mark.parametrize(
    ("lacking", "asked", "refused"),
    [
        pytest.param({"energy": ("no meter", "Get one.")}, {}, True, id="no-meter"),
        pytest.param({"energy": ("no meter", "Get one.")}, {"when_unmeasured": "warn"}, False, id="let-go"),
        pytest.param({"energy": ("no meter", "Get one.")}, {"level": "warn"}, False, id="only-warns"),
        pytest.param({"cold latency": ("no caches", "None.")}, {}, False, id="something-else"),
        pytest.param({"latency": ("emulated", "Measure there.")}, {}, True, id="tells-no-times"),
    ],
)
def test_what_no_recipe_could_be_measured_by_is_told_before_any_is_trained(
    monkeypatch: pytest.MonkeyPatch, lacking: Any, asked: Any, refused: bool
) -> None:
    monkeypatch.setattr(probe, "facts_in_full", lambda *_: SimpleNamespace(lacking=lacking))
    rule = Rule(METRICS["energy"], OPERATORS["max_ratio"], 0.5, **asked)
    entry: Any = SimpleNamespace(connect=lambda: None, options=DeviceOptions())
    measuring = Measuring(None, {"pi5": entry}, [rule], None)  # type: ignore[arg-type]
    told = measuring.reach().exception()
    measuring.close()
    assert (told is not None) == refused
    if refused:
        assert "device `pi5`: `energy.max_ratio` cannot be measured there, whatever the recipe: " in str(told)
        assert "`when_unmeasured: warn`" in str(told)


def failed(code: int, said: str) -> JobFailed:
    device: Any = SimpleNamespace(name="pi5", python=["python3"])
    return JobFailed(device, Ended(code, said))


def test_a_model_is_not_blamed_for_the_state_of_a_device() -> None:
    for failure in (
        failed(1, "OSError: [Errno 28] No space left on device"),
        failed(1, "ModuleNotFoundError: No module named 'numpy'"),
        failed(NO_SETTING, "`governor` cannot be set, mostly only root may"),
        failed(NO_PROVIDER, "no GPU"),
    ):
        assert unmeasurable(failure) is None, failure
    # a runtime that is not there may be installed, and other recipes need it not
    assert unmeasurable(failed(NO_RUNTIME, "no litert")) == ("it cannot be measured on device `pi5`: no litert", True)
    hung = GivenUp("it has not ended for 1840 s", where="device `pi5`")
    assert unmeasurable(hung) == ("it cannot be measured on device `pi5`: it has not ended for 1840 s", True)
    assert unmeasurable(DeviceFailed("it does not answer", where="device `pi5`")) is None
    crashed = unmeasurable(failed(-11, ""))
    assert crashed is not None
    assert not crashed[1]
