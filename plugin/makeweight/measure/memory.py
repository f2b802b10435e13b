"""Peak memory from what the probe read in fresh processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
_ON_GPU = (
    "NVML's memory of the process after load and runs, CUDA's context and the arena in it, which gives nothing back; "
    f"{_REPEATED}"
)
_PHASES = {
    "memory_load": "load",
    "memory_first_run": "first",
    "memory_steady": "steady",
    "memory_anonymous": "anonymous",
    "memory_mapped": "mapped",
}
"""Figures by phase, and the probe's names for them (`makeweight_probe/memory.py`)."""

AGREE = 0.01
"""Repeats that differ by no more than this share agree. Seven of a net of 34 MB lay within 0.1 MB around 139 MB."""

Facts = Sequence[dict[str, Any]]
"""What the probe told of a model, repeat by repeat."""


def enough(repeats: Facts, most: int) -> bool:
    """Whether no further repeat could move a figure by more than what repeats that agree differ by.

    The figure is the median. Once more than half of the repeats that there could be are made, it lies between the
    smallest and the largest of these, whatever the others would tell.

    Args:
        most: how many there are at most.
    """
    if len(repeats) >= most:
        return True
    held = sorted(float(each["device"]["bytes"]) for each in repeats if "bytes" in each.get("device", ()))
    return len(repeats) > most // 2 and all(map(_agree, (_peaks(repeats), held)))


def _agree(ordered: list[float]) -> bool:
    return not ordered or ordered[-1] - ordered[0] <= AGREE * ordered[-1]


def measure(timings: Timings, variant: str, device: str) -> Iterator[Measurement]:
    """Peak memory of a variant and of the baseline, and their ratio, in bytes; the same by phase; and where a GPU
    computes, what of its memory the process holds."""
    before, after = timings.memory["a"], timings.memory["b"]
    yield from _peak(before, after, variant, device)
    yield from _on_gpu(before, after, variant, device)


def _peak(before: Facts, after: Facts, variant: str, device: str) -> Iterator[Measurement]:
    of = Measurand("peak_memory")
    reason = next((facts["unavailable"] for facts in (*before, *after) if "unavailable" in facts), None)
    if reason is None and not (before and after):
        reason = NOT_ASKED
    if reason is not None:
        yield from _absent(of, variant, reason, device)
        return
    yield from _phases(before, BASELINE, variant, device)
    yield from _phases(after, variant, None, device)
    yield from _beside(of, _peaks(before), _peaks(after), _way(after), variant, device)


def _on_gpu(before: Facts, after: Facts, variant: str, device: str) -> Iterator[Measurement]:
    of = Measurand("gpu_memory")
    told = [[facts["device"] for facts in each if "device" in facts] for each in (before, after)]
    if not all(told):
        return
    reason = next((str(each["unavailable"]) for arm in told for each in arm if "unavailable" in each), None)
    if reason is not None:
        yield from _absent(of, variant, reason, device)
        return
    base, own = (sorted(float(each["bytes"]) for each in arm) for arm in told)
    yield from _beside(of, base, own, _ON_GPU, variant, device)


def _absent(of: Measurand, variant: str, reason: str, device: str) -> Iterator[Measurement]:
    yield unavailable(of, variant, "B", reason, device=device)
    yield unavailable(of.compared("ratio"), variant, "ratio", reason, device=device)


def _beside(
    of: Measurand, base: list[float], own: list[float], way: str, variant: str, device: str
) -> Iterator[Measurement]:
    """The variant's figure, the baseline's and their ratio.

    Args:
        base, own: of each repeat, sorted.
        way: how it was measured, with a place for the number of repeats.
    """

    def figure(
        unit: str, name: str, value: float, interval: tuple[float, float], repeats: int, against: str | None
    ) -> Measurement:
        told = value, interval, repeats, way.format(repeats)
        return Measurement(of.metric, name, unit, *told, against, device)

    yield figure("B", variant, own[len(own) // 2], (own[0], own[-1]), len(own), None)
    yield figure("B", BASELINE, base[len(base) // 2], (base[0], base[-1]), len(base), variant)
    if base[0] <= 0:
        reason = "the baseline's peak is not above the import of the runtime, so there is no ratio to it"
        yield unavailable(of.compared("ratio"), variant, "ratio", reason, device=device)
        return
    value, interval = own[len(own) // 2] / base[len(base) // 2], (own[0] / base[-1], own[-1] / base[0])
    yield replace(figure("ratio", variant, value, interval, min(len(own), len(base)), BASELINE), comparison="ratio")


def _phases(repeats: Facts, variant: str, against: str | None, device: str) -> Iterator[Measurement]:
    """What nothing limits, but tells where the peak comes from; the detail is how the session has its memory."""
    for name, key in _PHASES.items():
        values = sorted(float(facts[key]) for facts in repeats if facts.get(key) is not None)
        if not values:
            continue
        middle, detail = values[len(values) // 2], repeats[0].get("allocation")
        told = len(values), _way(repeats, key).format(len(repeats)), against, device
        yield Measurement(name, variant, "B", middle, (values[0], values[-1]), *told, detail=detail)


def _way(repeats: Facts, key: str = "run") -> str:
    """How it was measured: the probe's own way, where those who answered tell no other."""
    return str(repeats[0].get("method", f"{_HELD.get(key, _PEAK)}, {_REPEATED}"))


def _peaks(facts: Facts) -> list[float]:
    return sorted(float(max(entry["load"], entry["run"])) for entry in facts)
