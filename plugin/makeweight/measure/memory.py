"""Peak memory from what the probe read in fresh processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from makeweight.budget.measurand import Measurand
from makeweight.layout import BASELINE
from makeweight.measure.energy import NOT_ASKED
from makeweight.measure.timings import Timings
from makeweight.measurement import Measurement, unavailable

_PEAK = "VmHWM of load and run over the runtime's import"
_HELD = {
    "anonymous": "RssAnon after the runs over that after the runtime's import",
    "mapped": "Rss of the mappings of the model's own files after the runs",
}
_REPEATED = "fresh processes, range of {} repeats"
_PHASES = {
    "memory_load": "load",
    "memory_first_run": "first",
    "memory_steady": "steady",
    "memory_anonymous": "anonymous",
    "memory_mapped": "mapped",
}
"""Figures by phase, and the probe's names for them (`makeweight_probe/memory.py`)."""


def measure(timings: Timings, variant: str, device: str) -> Iterator[Measurement]:
    """Peak memory of a variant and of the baseline, and their ratio, in bytes; and the same by phase."""
    before, after = timings.memory["a"], timings.memory["b"]
    ratio = Measurand("peak_memory", "ratio")
    reason = next((facts["unavailable"] for facts in (*before, *after) if "unavailable" in facts), None)
    if reason is None and not (before and after):
        reason = NOT_ASKED
    if reason is not None:
        yield unavailable(Measurand("peak_memory"), variant, "B", reason, device=device)
        yield unavailable(ratio, variant, "ratio", reason, device=device)
        return
    own, base = _peaks(after), _peaks(before)

    def figure(unit: str, name: str, value: float, interval: tuple[float, float], against: str | None) -> Measurement:
        told = len(own), _method(after), against, device
        return Measurement("peak_memory", name, unit, value, interval, *told)

    yield from _phases(before, BASELINE, variant, device)
    yield from _phases(after, variant, None, device)
    yield figure("B", variant, own[len(own) // 2], (own[0], own[-1]), None)
    yield figure("B", BASELINE, base[len(base) // 2], (base[0], base[-1]), variant)
    if base[0] <= 0:
        reason = "the baseline's peak is not above the import of the runtime, so there is no ratio to it"
        yield unavailable(ratio, variant, "ratio", reason, device=device)
        return
    value, interval = own[len(own) // 2] / base[len(base) // 2], (own[0] / base[-1], own[-1] / base[0])
    yield replace(figure("ratio", variant, value, interval, BASELINE), comparison="ratio")


def _phases(repeats: list[dict[str, Any]], variant: str, against: str | None, device: str) -> Iterator[Measurement]:
    """What nothing limits, but tells where the peak comes from; the detail is how the session has its memory."""
    for name, key in _PHASES.items():
        values = sorted(float(facts[key]) for facts in repeats if facts.get(key) is not None)
        if not values:
            continue
        middle, detail = values[len(values) // 2], repeats[0].get("allocation")
        told = len(values), _method(repeats, key), against, device
        yield Measurement(name, variant, "B", middle, (values[0], values[-1]), *told, detail=detail)


def _method(repeats: list[dict[str, Any]], key: str = "run") -> str:
    """How it was measured: the probe's own way, where those who answered tell no other."""
    return str(repeats[0].get("method", f"{_HELD.get(key, _PEAK)}, {_REPEATED}")).format(len(repeats))


def _peaks(facts: list[dict[str, Any]]) -> list[float]:
    return sorted(float(max(entry["load"], entry["run"])) for entry in facts)
