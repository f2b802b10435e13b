"""NVIDIA's graphics cards, by their management library (NVML): the energy counter that cards have since Volta, else
their power, read again and again. https://docs.nvidia.com/deploy/nvml-api/

The sum over all cards. It is opened by name only: a runtime that computes on the processor takes nothing of them.
"""

from __future__ import annotations

import time
from typing import Any

from makeweight_probe import cards
from makeweight_probe.meters import Meter, NoMeter
from makeweight_probe.power import Clock, Polled

BY_NAME_ONLY = True
_MILLI = 1e-3


def open_meter(library: Any = None, clock: Clock = time.monotonic) -> Meter:
    """Args:
        library: what `import pynvml` gives.

    Raises:
        NoMeter: no bindings, no driver, no card, or one that tells neither energy nor power.
    """
    try:
        nvml, found = cards.opened(library)
    except cards.NoCards as error:
        raise NoMeter(str(error)) from error
    try:
        names = ", ".join(_text(nvml.nvmlDeviceGetName(card)) for card in found)
    except nvml.NVMLError as error:
        raise NoMeter(f"NVML tells of no card: {error}") from error
    try:
        return _Counters(f"NVML energy counter of {names}", nvml, found)
    except NoMeter as no_counter:
        # a Jetson's library is there and supports neither
        try:
            return Polled(f"NVML power of {names}", lambda: _sum(nvml, nvml.nvmlDeviceGetPowerUsage, found), clock)
        except NoMeter as error:
            raise NoMeter(f"{names}: neither energy ({no_counter}) nor power ({error}) is told") from error


class _Counters:
    """Energy since the driver was loaded."""

    def __init__(self, source: str, nvml: Any, cards: list[Any]) -> None:
        self.source = source
        self._nvml, self._cards = nvml, cards
        self.joules()

    def joules(self) -> float:
        return _sum(self._nvml, self._nvml.nvmlDeviceGetTotalEnergyConsumption, self._cards)

    def close(self) -> None:
        self._nvml.nvmlShutdown()


def _sum(nvml: Any, ask: Any, cards: list[Any]) -> float:
    """Of what is told in thousandths: mJ or mW."""
    try:
        return float(sum(int(ask(card)) for card in cards)) * _MILLI
    except nvml.NVMLError as error:
        raise NoMeter(str(error)) from error


def _text(name: str | bytes) -> str:
    """Older bindings tell bytes."""
    return name.decode(errors="replace") if isinstance(name, bytes) else name
