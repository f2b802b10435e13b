"""What a rule's effects come to on a whole model: what it does not reach stays as it is (Amdahl 1967,
https://doi.org/10.1145/1465482.1465560). Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from makeweight.advise.facts import DeviceFacts, Facts, Figure, TriedFacts, loses_shares
from makeweight.advise.rule import Effect, Rule
from makeweight_probe.job import CPU

# Multiply-accumulates that a core does in a second at the least, a tenth of what plain loops reach on a small one.
_SLOWEST = 1e8
# Seconds of an inference of which so much is the runtime's own call that faster kernels may change nothing.
_CALL = 30e-6


@dataclass(frozen=True)
class Expected:
    """A range of one figure: a ratio to the baseline, or (`drop`) what is lost, a fraction."""

    figure: Figure
    low: float
    high: float
    device: str | None = None
    tried: bool = False
    """Whether it was measured on this model, and is no range of a rule's."""
    assumes: str = ""
    """What had to be taken for granted."""


def expected(rule: Rule, facts: Facts) -> tuple[Expected, ...]:
    """Of each figure that the rule has an effect on; of the latency, on each device. What was tried on this model takes
    the place of ranges."""
    return tuple(_each(rule, facts))


def _each(rule: Rule, facts: Facts) -> Iterator[Expected]:
    seen, model = facts.tried.get(rule.name, TriedFacts()), facts.model
    for effect in rule.effects:
        if effect.figure == "drop" and not loses_shares(facts.task):
            continue
        if effect.figure == "latency":
            for device in facts.devices:
                if device.by == CPU and (effect.where is None or effect.where.holds(device)):
                    yield _latency(rule, effect, device, facts)
        elif effect.figure == "size" and seen.size:
            yield Expected("size", seen.size / model.size, seen.size / model.size, tried=True)
        elif effect.figure == "size_compressed" and seen.size_compressed and model.size_compressed:
            ratio = seen.size_compressed / model.size_compressed
            yield Expected("size_compressed", ratio, ratio, tried=True)
        elif effect.figure == "drop" and seen.drop is not None:
            yield _drop(effect, seen.drop, seen.examples)
        elif effect.figure in ("size", "size_compressed"):
            yield _size(rule, effect, facts)
        elif effect.figure in ("macs", "parameters") and rule.narrows and facts.pruning is not None:
            left = facts.pruning.macs if effect.figure == "macs" else facts.pruning.size
            if left is not None:
                yield Expected(effect.figure, left * effect.low, left * effect.high, tried=True)
        else:
            yield Expected(effect.figure, effect.low, effect.high)


def _drop(effect: Effect, seen: float, examples: int) -> Expected:
    """What was lost on some examples, give or take two standard errors of as many changed answers (at least one); of
    that, what the rule's range leaves, where the two agree."""
    open_still = 2 * math.sqrt(max(abs(seen), 1 / examples) / examples)
    low, high = max(effect.low, seen - open_still), min(effect.high, seen + open_still)
    if low > high:
        low, high = seen - open_still, seen + open_still
    return Expected("drop", low, high, tried=True)


def _size(rule: Rule, effect: Effect, facts: Facts) -> Expected:
    model = facts.model
    share, assumes, ends = model.share(*rule.reaches), "", (effect.low, effect.high)
    if share is None:
        share, assumes = 1.0, "that all bytes are reached: in which layers they are is not known"
    elif whole := model.bytes_of(*rule.reaches):
        parts = [(model.bytes_of(kind) / whole, effect.beside.get(kind, ends)) for kind in rule.reaches]
        ends = sum(part * low for part, (low, _) in parts), sum(part * high for part, (_, high) in parts)
    reached = [layer for layer in model.layers if layer.kind in rule.reaches and layer.bytes]
    beside = effect.each * len(reached) / model.size if model.size else 0.0
    left = facts.pruning.size if rule.narrows and facts.pruning is not None else 1.0
    low, high = (left * (1 - share + share * end) for end in ends)
    return Expected(effect.figure, low, high + beside, assumes=assumes)


def _latency(rule: Rule, effect: Effect, device: DeviceFacts, facts: Facts) -> Expected:
    share, assumes = (1.0, "") if rule.moves else _time_in(rule, device, facts)
    low, high = effect.low, effect.high
    if rule.narrows and facts.pruning is not None:
        # at best time falls as the products do, at worst half as far
        products = facts.pruning.size if facts.pruning.macs is None else facts.pruning.macs
        low, high = low * products, high * (1 + products) / 2
    if device.latency is not None and facts.model.macs is not None and not device.kinds:
        # what is left of the time is the runtime's own
        share = min(share, facts.model.macs / _SLOWEST / device.latency)
    low, high = 1 - share + share * low, 1 - share + share * high
    if device.latency is not None and device.latency < _CALL:
        high = max(high, 1.05)
        assumes = "that of so short an inference much is the runtime's own call"
    if device.isa is None:
        assumes = "a processor without fast instructions for integers: the device did not tell which it has"
    return Expected("latency", low, high, device.name, assumes=assumes)


def _time_in(rule: Rule, device: DeviceFacts, facts: Facts) -> tuple[float, str]:
    """The part of the time that is spent in what a rule reaches, and what had to be assumed for it."""
    if device.kinds:
        return sum(part for kind, part in device.kinds.items() if kind in rule.reaches), ""
    work = facts.model.work(*rule.reaches)
    if work is None:
        return 1.0, "that all the time is in what it reaches: multiply-accumulates are not known"
    return work, "that time goes as multiply-accumulates do: operators were not timed one by one"
