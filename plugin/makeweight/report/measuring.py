"""How it was measured: each device, its noise floor and the protocol, in few words."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from makeweight.report.comparison import LATENCY
from makeweight.report.content import Content, Machine
from makeweight.report.figures import Figures
from makeweight_probe.isa import INT8_DOT

COPIES = "two copies of one model differed by {} (noise floor)"
# What decides how fast integers are, the best first.
_TELLING_ISA = (*INT8_DOT, "avx512f", "avx2")


def machine_line(machine: Machine) -> str:
    """A device in one line: what about it decides how fast it is."""
    if machine.reason is not None:
        return f"not reached: {machine.reason}"
    identity = machine.identity
    known = identity.get("isa")
    isa = next((name for name in _TELLING_ISA if isinstance(known, Collection) and name in known), None)
    runtimes, gpu = (_told(identity.get(name)) for name in ("runtimes", "gpu"))
    parts = [
        str(identity.get("cpu") or identity.get("model") or identity.get("machine") or machine.kind),
        isa,
        _gpu(gpu),
        *(f"{name} {version}" for name, version in runtimes.items()),
        "emulated" if identity.get("emulated") else None,
        _count(machine.threads, "thread"),
    ]
    return " · ".join(part for part in parts if part)


def _told(part: object) -> Mapping[str, Any]:
    """A part of an identity that has parts itself; it may have been written by anybody."""
    return part if isinstance(part, Mapping) else {}


def _gpu(told: Mapping[str, str | None]) -> str | None:
    """What computes in the processor's place: `NVIDIA L4 (driver 550.54, CUDA 12.4)`."""
    versions = [f"{name} {told[key]}" for key, name in (("driver", "driver"), ("cuda", "CUDA")) if told.get(key)]
    return f"{told['name']} ({', '.join(versions)})" if told.get("name") else None


def protocol_line(content: Content, figures: Figures, device: str) -> str:
    """How many pairs of blocks were timed, and how: `3 processes x 40 pairs of blocks, in one process`."""
    timings = [timing for timing in content.timings if timing.device == device]
    if not timings:
        ratios = (figures.get(LATENCY.compared("ratio"), name, device) for name in figures.variants)
        counts = sorted({each.samples for each in ratios if each and each.value is not None and each.samples})
        return f"{_range(counts)} pairs of blocks a variant" if counts else ""
    processes = sorted({timing.processes for timing in timings})
    pairs = sorted({timing.rounds for timing in timings})
    where = " or ".join(dict.fromkeys(timing.where for timing in timings))
    if len(processes) == len(pairs) == 1 and processes[0] and pairs[0] % processes[0] == 0:
        return f"{_count(processes[0], 'process')} x {pairs[0] // processes[0]:,} pairs of blocks, {where}"
    return f"{_range(processes)} processes, {_range(pairs)} pairs of blocks a variant, {where}"


def _range(values: list[int]) -> str:
    return f"{values[0]:,}" if len(values) == 1 else f"{values[0]:,} to {values[-1]:,}"


def _count(number: int | None, thing: str) -> str | None:
    if number is None:
        return None
    plural = "" if number == 1 else "es" if thing.endswith("s") else "s"
    return f"{number} {thing}{plural}"


def _floor(figures: Figures, device: str, words: str) -> str:
    """What copies of one model differed by there: `1.2 %`, within words."""
    share = figures.noise_floor(device)
    return "" if share is None else words.format(f"{share * 100:.1f} %")


def how(content: Content, figures: Figures, device: str) -> str:
    """How latency was timed there, and what copies of one model differed by; empty where it was not timed."""
    parts = (protocol_line(content, figures, device), _floor(figures, device, COPIES))
    return "; ".join(part for part in parts if part)


def line(content: Content, figures: Figures, device: str, floor_words: str = COPIES) -> str:
    """All that is known of a device; empty where nothing is."""
    machine = machine_line(figures.machines[device]) if device in figures.machines else ""
    parts = (machine, _floor(figures, device, floor_words), protocol_line(content, figures, device))
    return " · ".join(part for part in parts if part)
