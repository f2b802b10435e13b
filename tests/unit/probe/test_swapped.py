"""Memory that was swapped out while it was measured: resident memory has none of it."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from makeweight_probe import facts, inputs, memory, sessions
from makeweight_probe.job import MemoryJob, Model

MB = 1_000_000


def measured(monkeypatch: pytest.MonkeyPatch, megabytes: tuple[int, ...], swapped: tuple[int, int]) -> dict[str, Any]:
    """Args:
    megabytes: each peak that is asked for. swapped: bytes, before and after.
    """
    peaks: Iterator[int] = iter(each * MB for each in megabytes)
    status = iter({"VmSwap": each, "RssAnon": 7} for each in swapped)
    session = SimpleNamespace(run=lambda _: [])
    opener = SimpleNamespace(warm_import=lambda: None, open_session=lambda *_: session)
    monkeypatch.setattr(sessions, "of", lambda _: opener)
    monkeypatch.setattr(facts, "emulated_here", lambda: False)
    monkeypatch.setattr(inputs, "read", lambda _: [{}])
    monkeypatch.setattr(memory, "peak_bytes", lambda: next(peaks))
    monkeypatch.setattr(memory, "reset_peak", lambda: None)
    monkeypatch.setattr(memory, "_status", lambda: next(status))
    monkeypatch.setattr(memory, "_mapped", lambda _: 0)
    return dict(memory.measure(MemoryJob(Model("onnxruntime", "model.onnx", 1), "inputs.npz", 2)).facts)


@pytest.mark.parametrize(
    ("swapped", "told"),
    [
        ((0, 0), None),
        ((40 * MB, 40 * MB), None),
        ((0, MB // 2), None),
        ((MB, 31 * MB), "30 MB were swapped out meanwhile, which the peak does not have"),
    ],
    ids=["none", "before", "hardly", "meanwhile"],
)
def test_a_peak_that_lacks_what_was_swapped_out_is_none(
    swapped: tuple[int, int], told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a board of one GB, whose zram takes it: the larger the model, the less of it is resident."""
    found = measured(monkeypatch, (50, 50, 110, 150, 140), swapped)
    if told is None:
        assert found["run"] == 100 * MB
    else:
        assert found.keys() == {"unavailable"}
        assert found["unavailable"].startswith(told)


def test_a_model_by_which_nothing_grows_lacks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where what was imported is given back meanwhile, less is resident than before, and nothing was swapped out."""
    found = measured(monkeypatch, (50, 50, 49, 45, 44), (0, 0))
    assert found["run"] == -5 * MB
