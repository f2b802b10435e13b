"""NVIDIA's cards by a library of paper, whose power is known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from makeweight_probe import cards, energy, meters, power
from makeweight_probe.arm import Times
from makeweight_probe.cards import NoCards
from makeweight_probe.meters import NoMeter, nvml


class NotSupported(Exception):
    """As the library's own of that name."""


class Library:
    """`pynvml` with two cards, one of which computes. What it knows not is refused as the real one refuses it."""

    NVMLError = NotSupported

    def __init__(self, *, counts: bool = True, powers: bool = True, cards: int = 2) -> None:
        self.now, self._counts, self._powers, self._cards = 0.0, counts, powers, cards
        self.taken, self.watts = [1_000.0, 2_000.0], [20.0, 5.0]

    def nvmlInit(self) -> None:  # noqa: N802
        pass

    nvmlShutdown = nvmlInit  # noqa: N815

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return self._cards

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetName(self, card: int) -> bytes | str:  # noqa: N802
        return (b"Tesla V100", "NVIDIA L4")[card]

    def nvmlDeviceGetTotalEnergyConsumption(self, card: int) -> int:  # noqa: N802
        if not self._counts:
            raise NotSupported("Not Supported")
        return round(self.taken[card] * 1e3)

    def nvmlDeviceGetPowerUsage(self, card: int) -> int:  # noqa: N802
        if not self._powers:
            raise NotSupported("Not Supported")
        return round(self.watts[card] * 1e3)

    def clock(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        self.taken = [taken + watts * seconds for taken, watts in zip(self.taken, self.watts, strict=True)]


class OnCard:
    """10 ms and 60 W an inference beside what the card takes idle."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def block(self, sample: int, runs: int, inner: int) -> Times:
        self._library.watts[0] += 60.0
        self._library.pass_by(runs * inner * 0.010)
        self._library.watts[0] -= 60.0
        return {"wall": [10e6] * runs}


def test_the_energy_counters_give_what_an_inference_takes_beside_idle_cards() -> None:
    library = Library()
    meter = nvml.open_meter(library)
    arms = {"a": OnCard(library), "b": OnCard(library)}
    found = energy.measure(meter, arms, 4, np.random.default_rng(0), library.clock, library.pass_by)
    assert found.facts["source"] == "NVML energy counter of Tesla V100, NVIDIA L4"
    assert found.samples["idle"] == pytest.approx(25.0)
    assert found.samples["joules_a"] == pytest.approx(60.0 * 0.010)


def test_cards_without_a_counter_are_read_by_their_power(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power.Polled, "_poll", lambda _: None)
    library = Library(counts=False)
    meter = nvml.open_meter(library, library.clock)
    assert meter.source == "NVML power of Tesla V100, NVIDIA L4"
    library.now = 2.0
    assert meter.joules() == pytest.approx(50.0)
    library.watts = [45.0, 5.0]
    library.now = 3.0
    assert meter.joules() == pytest.approx(50.0 + (25.0 + 50.0) / 2)


def test_a_library_that_supports_neither_is_unavailable_with_its_word() -> None:
    """As on a Jetson, where it initialises and then tells nothing."""
    with pytest.raises(NoMeter, match=r"Tesla V100, NVIDIA L4: neither energy \(Not Supported\) nor power \(Not Supp"):
        nvml.open_meter(Library(counts=False, powers=False))
    with pytest.raises(NoMeter, match="no card"):
        nvml.open_meter(Library(cards=0))


def test_without_bindings_what_brings_them_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)
    with pytest.raises(NoMeter, match=r"^nvml: it needs NVIDIA's bindings: `pip install nvidia-ml-py` there$"):
        meters.find("nvml")


class Computing(Library):
    """Two processes compute, one of them on both cards."""

    def __init__(self, *told: tuple[int, int | None]) -> None:
        super().__init__()
        self._told = [SimpleNamespace(pid=pid, usedGpuMemory=size) for pid, size in told]
        self.open = 0

    def nvmlInit(self) -> None:  # noqa: N802
        self.open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.open -= 1

    def nvmlDeviceGetComputeRunningProcesses(self, card: int) -> list[SimpleNamespace]:  # noqa: N802
        return self._told if card == 0 else self._told[:1]


def test_memory_of_a_process_is_that_on_all_cards() -> None:
    library = Computing((7, 300 << 20), (8, 100 << 20))
    assert cards.held_by(7, library) == 600 << 20
    assert cards.held_by(8, library) == 100 << 20
    assert library.open == 0, "it is shut down each time"


def test_memory_that_is_not_told_says_why() -> None:
    with pytest.raises(NoCards, match="as in a container"):
        cards.held_by(9, Computing((7, 1)))
    with pytest.raises(NoCards, match="does not tell what memory"):
        cards.held_by(7, Computing((7, None)))
    with pytest.raises(NoCards, match="no card"):
        cards.held_by(7, Library(cards=0))
