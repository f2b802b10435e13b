"""Growth against the merge base: what `max_regression` is held against."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from makeweight.budget.measurand import Measurand
from makeweight.budget.rule import Rule
from makeweight.measurement import Cause, Measurement, unavailable

if TYPE_CHECKING:
    from makeweight.bench.sitting import Pair
    from makeweight.devices.device import Device, DeviceOptions
    from makeweight.measure.timings import Timings
    from makeweight_base.progress import Progress

AGAINST = "merge base"


def wanted(rules: Iterable[Rule], device: str | None) -> list[Rule]:
    """The rules about growth: those of one device, or with None those that no device measures."""
    return [
        rule
        for rule in rules
        if rule.operator.against == AGAINST
        and (rule.metric.per_device and rule.device in (None, device) if device else not rule.metric.per_device)
    ]


def measure(
    device: Device, options: DeviceOptions, pair: Pair, rules: list[Rule], seed: int, progress: Progress
) -> Timings:
    """Time the merge base's artifact (`pair.a`) and the head's (`pair.b`) in turns, on one device, in one job.

    Raises:
        DeviceFailed: the device was lost.
    """
    from makeweight.bench import sitting
    from makeweight.bench.aim import from_rules

    wants_memory = any(rule.metric.meter in ("memory", "gpu") for rule in rules)
    aim = from_rules(rules, lambda rule: 1 + rule.limit, memory=wants_memory)
    return sitting.carry_out(device, options, replace(pair, free_batch=False), aim, seed, progress)


def of_timings(timings: Timings, rules: list[Rule], variant: str, device: str, threads: int) -> Iterator[Measurement]:
    """The growth of each metric that a rule names; a ratio of 1.04 is a growth of 0.04."""
    from makeweight.measure import end_to_end, energy, latency, memory

    figures = [
        *latency.measure(timings, variant, device, threads),
        *end_to_end.measure(timings, variant, device, threads),
        *energy.measure(timings, variant, device),
    ]
    if timings.memory["b"]:
        figures += memory.measure(timings, variant, device)
    ratios = {figure.metric: figure for figure in figures if figure.comparison == "ratio"}
    for growth in _asked(rules):
        ratio = ratios.get(growth.metric)
        if ratio is None:
            reason = f"{growth.metric} is not measured against the merge base"
            yield unavailable(growth, variant, "ratio", reason, device=device)
        elif ratio.value is None:
            reason = ratio.reason or "it was not measured"
            yield replace(ratio.absent(reason, ratio.cause), comparison="regression", samples=ratio.samples)
        else:
            interval = None if ratio.interval is None else (ratio.interval[0] - 1, ratio.interval[1] - 1)
            value = ratio.value - 1
            yield replace(ratio, comparison="regression", value=value, interval=interval, against=AGAINST, key=None)


def of_pipelines(rules: Iterable[Rule]) -> list[Rule]:
    """Those about a model with the user's code around it."""
    return [rule for rule in rules if rule.metric.meter == "end_to_end"]


def is_same(own: str | None, told: str | None, beside: str | None, *, remade: bool) -> bool:
    """Whether a model is the merge base's, byte for byte.

    Args:
        own: its sha256; None: there is none.
        told: that of the base's, by the base's own word.
        beside: that of the base's as it lies here; None: it does not.
        remade: it is made from something else than the base's. Then that word may be of a model that the base never
            made, written by somebody who knew what would be made here.
    """
    return own is not None and own == (beside if remade else told)


def same_artifact(rules: list[Rule], variant: str, device: str | None) -> list[Measurement]:
    """The artifact is the merge base's, byte for byte: it has not grown."""
    method = "the artifact is the merge base's, byte for byte"
    same = [_growth(of, variant, 0.0, method) for of in _asked(rules)]
    return [replace(each, interval=(0.0, 0.0), device=device, noise_floor=0.0) for each in same]


def not_possible(
    rules: list[Rule], variant: str, device: str | None, reason: str, cause: Cause | None = None
) -> list[Measurement]:
    return [unavailable(of, variant, "ratio", reason, device=device, cause=cause) for of in _asked(rules)]


def of_figures(
    rules: list[Rule], variant: str, was: str, now: Iterable[Measurement], before: Iterable[Measurement]
) -> Iterator[Measurement]:
    """Growth of what no device measures, from the figures of both commits.

    Args:
        was: what the variant was called at the merge base.
    """
    own, old = _by_measurand(now, variant), _by_measurand(before, was)
    for of in _asked(rules):
        alone = replace(of, comparison=None)
        new, known = own.get(alone), old.get(alone)
        if new is None or new.value is None:
            reason = (new.reason if new else None) or "it was not measured here"
        elif known is None or known.value is None:
            there = (known.reason if known else None) or "it was not measured there"
            reason = f"the merge base has no figure of it: {there}"
        elif known.value == 0 != new.value:
            reason = "it was 0 at the merge base, and growth from 0 has no percentage; limit it with `max`"
        else:
            growth = new.value / known.value - 1 if known.value else 0.0
            yield replace(_growth(of, variant, growth, "figure against the merge base's figure"), samples=new.samples)
            continue
        yield unavailable(of, variant, "ratio", reason)


def _growth(of: Measurand, variant: str, value: float, method: str) -> Measurement:
    return Measurement(
        of.metric,
        variant,
        "ratio",
        value,
        comparison=of.comparison,
        slice=of.slice,
        method=method,
        against=AGAINST,
    )


def _asked(rules: Iterable[Rule]) -> list[Measurand]:
    """What rules about growth are held against: of some groups of test examples each its own."""
    return list(dict.fromkeys(rule.measurand for rule in rules))


def _by_measurand(figures: Iterable[Measurement], variant: str) -> Mapping[Measurand, Measurement]:
    return {m.measurand: m for m in figures if m.variant == variant and m.device is None}
