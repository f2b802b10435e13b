"""From a project's budget and its measured references to terms; what the budget leaves open is noted, not guessed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from makeweight_monitors.reference import Confidence, Reference
from makeweight_monitors.rules import names
from makeweight_monitors.rules.arguments import ENVIRONMENT
from makeweight_monitors.rules.burn import bucket
from makeweight_monitors.rules.terms import LatencyLimit, Terms

if TYPE_CHECKING:
    from makeweight.budget.rule import Rule
    from makeweight.project.project import Project

ALPHA = 0.001
MANY_CLASSES = 100


def terms(
    project: Project,
    reference: Reference,
    baseline: Reference | None,
    *,
    device: str | None = None,
    interval: int = 15,
    history: str = "7d",
    environment: tuple[str, ...] = ENVIRONMENT,
    models: int = 1,
    runbooks: str = Terms.runbooks,
) -> tuple[Terms, list[str]]:
    """The terms, and what the reader ought to know about them.

    Args:
        device: whose limits on latency are meant, where the budget has some for one device.
    """
    notes: list[str] = []
    canary = project.canary
    drop = canary.max_accuracy_drop if canary is not None else None
    if drop is None:
        drop = _limit(project, "accuracy", "max_drop")
    if reference.unavailable is not None:
        notes.append(
            f"accuracy, agreement and confidence of answers are not watched: {reference.unavailable}; latency, "
            "failures and features are"
        )
        if drop is None:
            notes.append(
                "no rule may ask for a rollback: state how far failures may rise by `canary: {max_accuracy_drop: 1 pt}`"
            )
    elif drop is None:
        notes.append(
            "no rule may ask for a rollback: the budget states no tolerated drop; "
            "give `accuracy: {max_drop: 1 pt}`, or `canary: {max_accuracy_drop: 1 pt}`"
        )
    classification = project.task.kind == "classification"
    confidence = reference.confidence
    examples = sum(confidence.count) if confidence is not None else 0
    if classification and not examples:
        notes.append("drift of confidence is not watched: the reference holds no scores")
    classes = len(reference.classes or ())
    class_drop = _limit(project, "worst_class_accuracy", "max_drop")
    if class_drop is not None and classes > MANY_CLASSES:
        notes.append(
            f"each of the {classes} classes is tested apart: four series a process and class are read every few minutes"
        )
    found = Terms(
        model=project.name,
        alpha=canary.false_rollback_rate if canary is not None else ALPHA,
        drop=drop,
        slices={
            rule.slice: rule.limit
            for rule in project.rules
            if rule.slice is not None and (rule.metric.name, rule.operator.name) == ("accuracy", "max_drop")
        },
        class_drop=class_drop,
        classes=classes,
        accuracy=_limit(project, "accuracy", "min"),
        flips=_limit(project, "negative_flips", "max"),
        latency=_latency(project, device, notes),
        examples=examples or None,
        reference_psi=_psi(confidence, baseline.confidence if baseline is not None else None),
        classification=classification,
        judged=reference.unavailable is None,
        controlled=canary is not None and canary.target is not None,
        interval=interval,
        history=history,
        environment=environment,
        models=models,
        runbooks=runbooks,
    )
    return found, notes


def _limit(project: Project, metric: str, operator: str) -> float | None:
    """The budget's limit on the whole, not on a slice of it."""
    for rule in project.rules:
        if (rule.metric.name, rule.operator.name, rule.slice) == (metric, operator, None):
            return rule.limit
    return None


def _latency(project: Project, device: str | None, notes: list[str]) -> tuple[LatencyLimit, ...]:
    """For each percentile the limits for every device, else those for the one that is meant."""
    from makeweight.budget.metric import times

    limits = []
    for metric in times("wall"):
        named: dict[str, float | None] = {"max": None, "max_ratio": None}
        for rule in project.rules:
            if rule.metric == metric and rule.operator.name in named:
                if metric.quantile not in names.LATENCY:
                    notes.append(f"`{rule.id}` is not watched: production has no {metric.percentile}")
                elif _meant(rule, device, project):
                    most = named[rule.operator.name]
                    named[rule.operator.name] = rule.limit if most is None else min(most, rule.limit)
                else:
                    notes.append(f"`{rule.id}` is not watched: it is for one device; name it with `--device`")
        limit = LatencyLimit(metric.quantile or 0.0, named["max"], named["max_ratio"])
        if limit.most is not None and bucket(limit) is None:
            notes.append(
                f"`{metric.name}.max` is not watched: {limit.most:g} s is beyond what latencies are counted up to"
            )
        if limit.most is not None or limit.most_ratio is not None:
            limits.append(limit)
    return tuple(limits)


def _meant(rule: Rule, device: str | None, project: Project) -> bool:
    return rule.device is None or rule.device == device or (device is None and len(project.devices) == 1)


def _psi(one: Confidence | None, other: Confidence | None) -> float:
    """The population stability index of two histograms of the same examples; 0 where they cannot be compared."""
    if one is None or other is None or one.edges != other.edges:
        return 0.0
    p, q = (
        [(count + 0.5) / (sum(histogram.count) + 0.5 * len(histogram.count)) for count in histogram.count]
        for histogram in (one, other)
    )
    return round(sum((a - b) * math.log(a / b) for a, b in zip(p, q, strict=True)), 4)
