"""Events of a body, put together so that they are counted in batches: those of one model, revision and variant whose
answers have one shape. Pure: what cannot be put anywhere is noted by its reason.

The order of a prediction and its label is kept: a body's predictions are counted before its labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import nan
from typing import Any, Literal

import numpy as np

from makeweight_monitors.exporter.events import Event
from makeweight_monitors.metrics import FAILURES, VARIANTS, FailureReason
from makeweight_monitors.observe.failure import Failure

Kind = Literal["scores", "name", "index", "values", "failure"]
Whose = tuple[str | None, str | None, str | None]
"""Model, environment and revision, as an event names them."""
_NUMBERS = (float, int)
_LISTS = ("answers", "canary", "latency", "canary_latency", "confidence", "ids", "slices", "units")
"""Of a batch, in the order of its attributes."""


@dataclass(slots=True)
class Batch:
    """Answers of one shape, with what came beside them; a list is as long as there are answers, or empty."""

    kind: Kind
    answers: list[Any] = field(default_factory=list)
    """Of the one variant; of stable, where these are pairs."""
    canary: list[Any] = field(default_factory=list)
    latency: list[float] = field(default_factory=list)
    canary_latency: list[float] = field(default_factory=list)
    """Seconds; NaN where one came that is no number."""
    confidence: list[float] = field(default_factory=list)
    ids: list[Any] = field(default_factory=list)
    slices: list[str | None] = field(default_factory=list)
    units: list[Any] = field(default_factory=list)
    features: dict[str, list[float]] = field(default_factory=dict)
    """By name, the values of those that have it."""
    failed: tuple[FailureReason | None, FailureReason | None] = (None, None)
    """Why the answers (of stable, where these are pairs) and those of the canary failed; None: they did not."""

    def __len__(self) -> int:
        return len(self.answers)

    def arguments(self) -> dict[str, Any] | None:
        """As an observer takes them, all but the features; None where some answer holds no numbers."""
        answers, canary = (
            _array(self.kind, one) if why is None else Failure(why, len(self))
            for one, why in zip((self.answers, self.canary), self.failed, strict=True)
        )
        if answers is None or canary is None:
            return None
        rest = {
            "id": self.ids if any(one is not None for one in self.ids) else None,
            "slice": self.slices if any(one is not None for one in self.slices) else None,
            "unit": self.units if any(one is not None for one in self.units) else None,
        }
        if self.canary:
            latency = (self.latency or None, self.canary_latency or None)
            if self.kind in ("scores", "failure"):
                return {"stable": answers, "canary": canary, "latency": latency, **rest}
            return {"predictions": (answers, canary), "latency": latency, **rest}
        rest["latency"] = self.latency or None
        if self.kind in ("scores", "failure"):
            return {"scores": answers, **rest}
        return {"predictions": answers, "confidence": self.confidence or None, **rest}

    def parts(self, size: int) -> Iterator[Batch]:
        """Batches of at most so many answers, without the features."""
        for start in range(0, len(self), size):
            lists = {name: getattr(self, name)[start : start + size] for name in _LISTS}
            yield Batch(self.kind, **lists, failed=self.failed)


@dataclass(slots=True)
class Labels:
    """Truths of one model."""

    ids: list[Any] = field(default_factory=list)
    truths: list[Any] = field(default_factory=list)
    slices: list[str | None] = field(default_factory=list)


@dataclass(slots=True)
class Grouped:
    """What a body holds. Keys begin with (model, environment, revision), each None where an event did not say."""

    predictions: dict[tuple[Any, ...], Batch] = field(default_factory=dict)
    """By (model, environment, revision, variant, ...)."""
    pairs: dict[tuple[Any, ...], Batch] = field(default_factory=dict)
    """By (model, environment, revision, ...)."""
    labels: dict[str | None, Labels] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)


def group(events: Iterable[Event]) -> Grouped:
    """Put events together; none is lost: each is in a batch, in the labels, or refused."""
    grouped = Grouped()
    for event in events:
        kind = event.get("type", "prediction")
        model, environment, revision = event.get("model"), event.get("environment"), event.get("revision")
        whose = (model, environment, revision)
        if model.__class__ is not str and model is not None:
            grouped.refused["unknown_model"] += 1
        elif environment.__class__ is not str and environment is not None:
            grouped.refused["unknown_environment"] += 1
        elif revision.__class__ is not str and revision is not None:
            grouped.refused["unknown_revision"] += 1
        elif kind == "prediction":
            _prediction(grouped, event, whose)
        elif kind == "pair":
            _pair(grouped, event, whose)
        elif kind == "label":
            _label(grouped, event, model)
        else:
            grouped.refused["unknown_type"] += 1
    return grouped


def _prediction(grouped: Grouped, event: Event, whose: Whose) -> None:
    variant = event.get("variant")
    if variant not in VARIANTS and variant is not None:
        grouped.refused["unknown_variant"] += 1
        return
    answer = _answer(event)
    if answer is None:
        grouped.refused["no_prediction"] += 1
        return
    kind, width, value = answer
    latency, confidence = event.get("latency"), event.get("confidence")
    if kind in ("scores", "failure"):
        confidence = None  # the scores tell it
    why = value if kind == "failure" else None
    key = (*whose, variant, kind, width, latency is None, confidence is None, why)
    batch = grouped.predictions.get(key)
    if batch is None:
        batch = grouped.predictions[key] = Batch(kind, failed=(why, None))
    batch.answers.append(value)
    if latency is not None:
        batch.latency.append(latency if latency.__class__ in _NUMBERS else nan)
    if confidence is not None:
        batch.confidence.append(confidence if confidence.__class__ in _NUMBERS else nan)
    _rest(batch, event)


def _pair(grouped: Grouped, event: Event, whose: Whose) -> None:
    stable, canary = event.get("stable"), event.get("canary")
    answers = [_answer(arm) if arm.__class__ is dict else None for arm in (stable, canary)]
    if stable is None or canary is None or answers[0] is None or answers[1] is None:
        grouped.refused["no_prediction"] += 1
        return
    (kind, width, value), (other_kind, other_width, other) = answers[0], answers[1]
    failed = (value if kind == "failure" else None, other if other_kind == "failure" else None)
    if kind != other_kind and failed == (None, None):
        grouped.refused["no_prediction"] += 1
        return
    kind = other_kind if kind == "failure" else kind
    times = (stable.get("latency"), canary.get("latency"))
    key = (*whose, kind, width, other_width, times[0] is None, times[1] is None, failed)
    batch = grouped.pairs.get(key)
    if batch is None:
        batch = grouped.pairs[key] = Batch(kind, failed=failed)
    batch.answers.append(value)
    batch.canary.append(other)
    for times_of_arm, latency in zip((batch.latency, batch.canary_latency), times, strict=True):
        if latency is not None:
            times_of_arm.append(latency if latency.__class__ in _NUMBERS else nan)
    _rest(batch, event)


def _label(grouped: Grouped, event: Event, model: str | None) -> None:
    labels = grouped.labels.get(model)
    if labels is None:
        labels = grouped.labels[model] = Labels()
    labels.ids.append(event.get("id"))
    labels.truths.append(event.get("truth"))
    labels.slices.append(_slice(event.get("slice")))


def _rest(batch: Batch, event: Event) -> None:
    batch.ids.append(event.get("id"))
    batch.slices.append(_slice(event.get("slice")))
    batch.units.append(event.get("unit"))
    features = event.get("features")
    if features is None:
        return
    if features.__class__ is not dict:
        features = {"features": nan}  # refused by its reason, where all other features are
    for name, value in features.items():
        batch.features.setdefault(name, []).append(value if value.__class__ in _NUMBERS else nan)


def _answer(arm: Event) -> tuple[Kind, int, Any] | None:
    """(kind, how many numbers, value); None where there is none. The value of a failure is its reason."""
    failure = arm.get("failure")
    if failure is not None:
        nothing_else = arm.get("scores") is None and arm.get("prediction") is None
        return ("failure", 0, failure) if failure in FAILURES and nothing_else else None
    scores = arm.get("scores")
    if scores is not None:
        if scores.__class__ is list and scores and arm.get("prediction") is None:
            return "scores", len(scores), scores
        return None
    value = arm.get("prediction")
    kind = value.__class__
    if kind is str:
        return "name", 1, value
    if kind is int or kind is float or kind is bool:
        return "index", 1, value
    if kind is list and value:
        return "values", len(value), value
    return None


def _slice(name: Any) -> str | None:
    return name if name is None or name.__class__ is str else str(name)[:80]


def _array(kind: Kind, answers: list[Any]) -> Any:
    """Answers of one width as numbers; None where one of them holds something else."""
    if kind == "name" or not answers:
        return answers
    try:
        array = np.array(answers)
        if array.dtype == object:  # a null is what some writers make of NaN
            array = np.array([_without_null(answer) for answer in answers])
    except ValueError:  # lists in lists, of different lengths
        return None
    most = 1 if kind == "index" else 2
    good = array.ndim == most and array.dtype.kind in ("fiubO" if kind == "index" else "fiub")
    return array if good else None


def _without_null(answer: Any) -> Any:
    return [nan if one is None else one for one in answer] if answer.__class__ is list else answer
