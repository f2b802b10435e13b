"""A budget as what a recipe has to do to the baseline. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from makeweight.advise.facts import DeviceFacts, Figure, Goal, ModelFacts, loses_shares
from makeweight.budget.metric import Meter, TaskKind, of_role
from makeweight.budget.rule import Rule
from makeweight_probe.job import CPU

_OF_THE_FILE: Mapping[str, Figure] = {
    "size": "size",
    "size_compressed": "size_compressed",
    "parameters": "parameters",
    "macs": "macs",
}
# Times of which an inference is a part, so that what a rule promises of that says nothing of the whole.
_AROUND: Mapping[Meter | None, str] = {
    "end_to_end": "how much of it is your own code around the model is not measured here: `makeweight benchmark` tells",
    "start": "how much of it is the runtime's own start, which no recipe changes, is not measured here",
}
_ELSEWHERE = "ranges here are of processors, and something else computes there"


def goals(
    rules: Sequence[Rule],
    model: ModelFacts,
    devices: Sequence[DeviceFacts],
    quality: Mapping[str, float],
    task: TaskKind,
) -> tuple[Goal, ...]:
    """Each rule as one, or one a device.

    Args:
        quality: the baseline's own figures by metric, as far as they were measured.
    """
    return tuple(goal for rule in rules for goal in _of(rule, model, devices, quality, task))


def _of(
    rule: Rule, model: ModelFacts, devices: Sequence[DeviceFacts], quality: Mapping[str, float], task: TaskKind
) -> Iterator[Goal]:
    metric = rule.metric
    if rule.operator.comparison == "regression":
        yield _untold(rule, "it is held against the merge base, and not against the baseline")
    elif metric.meter in _AROUND:
        yield _untold(rule, _AROUND[metric.meter])
    elif metric.name in _OF_THE_FILE:
        figure = _OF_THE_FILE[metric.name]
        yield _ratio(rule, figure, getattr(model, figure))
    elif metric.meter == "memory" or (metric.meter is not None and metric.quantile is not None):
        figure = "peak_memory" if metric.meter == "memory" else "latency"
        for device in devices:
            if rule.device not in (None, device.name):
                continue
            if device.by != CPU:
                yield _untold(rule, _ELSEWHERE, device.name)
            else:
                # of tails and other clocks than the wall's nothing is measured here, only what they are a ratio of
                known = getattr(device, figure) if metric.meter == "memory" or metric.headline else None
                yield _ratio(rule, figure, known, device.name)
    elif metric.origin == "evaluate":
        yield _drop(rule, quality, task)
    else:
        yield _untold(rule, "no rule here promises anything of it")


def _ratio(rule: Rule, figure: Figure, value: float | None, device: str | None = None) -> Goal:
    text, blocking = _text(rule), rule.level == "error"
    if rule.operator.comparison == "ratio":
        return Goal(rule.id, text, figure, rule.limit, device, blocking)
    if not value:
        return Goal(rule.id, text, figure, None, device, blocking, "the baseline's own figure is not known")
    return Goal(rule.id, text, figure, rule.limit / value, device, blocking)


def _drop(rule: Rule, quality: Mapping[str, float], task: TaskKind) -> Goal:
    metric, text, blocking = rule.metric, _text(rule), rule.level == "error"
    if rule.slice is not None or metric is not of_role("quality", task)[0]:
        return _untold(rule, "it follows what is lost on the whole, and no rule here says how far")
    if not loses_shares(task):
        return _untold(rule, "it is no share, and what is promised here to be lost is one")
    if rule.operator.comparison == "drop":
        return Goal(rule.id, text, "drop", rule.limit, None, blocking)
    if rule.operator.upper:
        return _untold(rule, "no rule here promises anything of it")
    if metric.name not in quality:
        reason = "the baseline was not evaluated; `makeweight baseline` does it"
        return Goal(rule.id, text, "drop", None, None, blocking, reason)
    return Goal(rule.id, text, "drop", quality[metric.name] - rule.limit, None, blocking)


def _untold(rule: Rule, reason: str, device: str | None = None) -> Goal:
    blocking = rule.level == "error"
    pressing = rule.metric.origin != "evaluate" and rule.operator.comparison != "regression"
    return Goal(rule.id, _text(rule), None, None, device or rule.device, blocking, reason, pressing)


def _text(rule: Rule) -> str:
    of = f" of `{rule.slice}`" if rule.slice else ""
    return f"{rule.metric.title}{of} {rule.limit_text}"
