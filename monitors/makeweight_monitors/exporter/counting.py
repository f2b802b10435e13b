"""Events into counters: each body (or piece of a log) is grouped, handed to the observers, and answered for.

All counting happens in one thread, so that what a body's refusals were can be told, and that nothing else waits for it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from makeweight_base.errors import UsageError
from makeweight_monitors.exporter.events import Event
from makeweight_monitors.exporter.figures import Figures
from makeweight_monitors.exporter.grouping import Batch, Grouped, Labels, Whose, group
from makeweight_monitors.exporter.models import Model, Models
from makeweight_monitors.observe.observer import Observer

PART = 10_000
"""Events that are counted in one go: what answers put aside for labels fits into memory until it is written, and labels
hold the store only so long."""


@dataclass
class Outcome:
    """What became of one body."""

    accepted: int = 0
    """Events that are counted; a label counts as accepted unless it is `rejected`."""
    refused: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    """Also of what was refused in part only: a slice, a feature, a latency, an id."""
    labels: Counter[str] = field(default_factory=Counter)
    """What became of labels: matched, unknown, duplicate, late, rejected, deferred."""

    def data(self) -> dict[str, Any]:
        """As it is answered."""
        answer: dict[str, Any] = {"accepted": self.accepted, "refused": self.refused, "reasons": dict(self.reasons)}
        if self.labels:
            answer["labels"] = dict(self.labels)
        return answer


class Refusals:
    """What observers refuse while this thread counts; what the label store refuses later belongs to no body."""

    def __init__(self) -> None:
        self._thread: int | None = None
        self._found: Counter[str] = Counter()

    def __call__(self, reason: str, count: int) -> None:
        if threading.get_ident() == self._thread:
            self._found[reason] += count

    def begin(self) -> Counter[str]:
        """Note from now on, into the counter that is returned."""
        self._thread = threading.get_ident()
        self._found = Counter()
        return self._found


class Counting:
    """Counts for all models; to be used by one thread."""

    def __init__(self, models: Models, refusals: Refusals, figures: Figures) -> None:
        self._models = models
        self._refusals = refusals
        self._figures = figures

    def body(self, body: bytes, way: str, read: Callable[[bytes, Counter[str]], list[Event]]) -> Outcome:
        """Count what one of events.of_lines and events.of_json reads of a body, and raise what it raises."""
        refused: Counter[str] = Counter()
        return self.events(read(body, refused), way, len(body), refused)

    def events(self, taken: list[Event], way: str, size: int, refused: Counter[str] | None = None) -> Outcome:
        """Count events; `refused` came with them and were none."""
        outcome = Outcome(reasons=self._refusals.begin())
        grouped = group(taken)
        grouped.refused.update(refused or {})
        for (name, environment, revision, variant, *_), batch in grouped.predictions.items():
            arm = self._arm(grouped, (name, environment, revision), variant, len(batch))
            if arm is not None:
                self._batch(outcome, *arm, batch)
        for (name, environment, revision, *_), batch in grouped.pairs.items():
            arm = self._arm(grouped, (name, environment, revision), "stable", len(batch))
            if arm is not None:
                arm[0].observer(revision, "canary", environment)  # both have answered, and both are up
                self._batch(outcome, *arm, batch)
        for name, labels in grouped.labels.items():
            self._labels(grouped, outcome, name, labels)
        self._figures.refused(grouped.refused)
        outcome.reasons.update(grouped.refused)
        outcome.refused = len(taken) + sum((refused or {}).values()) - outcome.accepted
        self._figures.events(way, outcome.accepted, outcome.refused, size)
        return outcome

    def _arm(self, grouped: Grouped, whose: Whose, variant: Any, count: int) -> tuple[Model, Observer] | None:
        """Who counts so many events of what they name; None where they are refused."""
        name, environment, revision = whose
        model = self._models.find(name)
        if model is None:
            grouped.refused["unknown_model"] += count
            return None
        if variant is None:
            if len(model.settings.variants) > 1:
                grouped.refused["unknown_variant"] += count
                return None
            (variant,) = model.settings.variants
        try:
            observer = model.observer(revision, variant, environment)
        except LookupError:
            grouped.refused["unknown_revision"] += count
            return None
        if observer is None:
            what = f"{count} events of the revision `{str(revision)[:80]}`, which is one too many"
            model.refuse("too_many_revisions", count, what, revision, variant, environment)
            return None
        return model, observer

    def _batch(self, outcome: Outcome, model: Model, observer: Observer, batch: Batch) -> None:
        if batch.features:
            observer.count_features(batch.features)
        if len(batch) > PART:
            for part in batch.parts(PART):
                self._batch(outcome, model, observer, part)
            return
        if batch.kind == "name" and observer.task == "regression":
            observer.refused(None, "bad_shape", len(batch), "the name of a class, from a model for regression")
            return
        arguments = batch.arguments()
        if arguments is None and len(batch) > 1:
            for one in batch.parts(1):
                self._batch(outcome, model, observer, one)
            return
        if arguments is None:
            observer.refused(None, "bad_shape", 1, "an answer that holds no numbers")
            return
        try:
            take = observer.take_pair if batch.canary else observer.take
            outcome.accepted += take(**arguments)
            model.relieve()
        except (ValueError, TypeError) as error:
            observer.refused(None, "bad_shape", len(batch), f"answers that cannot be read: {error}")
        except UsageError as error:  # the first pairs of a revision, and no memory for their series
            observer.refused(None, "too_many_revisions", len(batch), str(error))

    def _labels(self, grouped: Grouped, outcome: Outcome, name: str | None, labels: Labels) -> None:
        model = self._models.find(name)
        if model is None:
            grouped.refused["unknown_model"] += len(labels.ids)
            return
        observer = model.labelled()
        for start in range(0, len(labels.ids), PART):
            part = slice(start, start + PART)
            results = observer.label_many(labels.ids[part], labels.truths[part], labels.slices[part])
            outcome.labels.update(results)
            outcome.accepted += len(results) - results.count("rejected")
