"""An observer on a registry of its own, and what it has counted, as plain numbers."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from makeweight_monitors.metrics import Variant
from makeweight_monitors.observe.observer import Observer
from makeweight_monitors.observe.pending import Pending
from makeweight_monitors.reference import Confidence, Reference, ScoreKind

CLASSES = ("cat", "dog", "owl")


def reference(scores: ScoreKind = "softmax") -> Reference:
    edges = (0.0, 0.5, 0.75, 1.0)
    return Reference(
        "digits", "int8", "classification", CLASSES, Confidence(scores, edges, (5, 5, 10), (0.6, None, 1.0)), None
    )


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Watched:
    """An observer, and a look at its counters."""

    def __init__(self, variant: Variant = "canary", *, model: str = "digits", revision: str = "r1", **given: Any):
        self.registry = given.pop("registry", CollectorRegistry(auto_describe=True))
        self.clock = Clock()
        if given.get("labels") == "memory":
            given["labels"] = Pending(clock=self.clock, every=0, timeout=100)
        if "task" not in given:
            given.setdefault("reference", reference())
        self.observer = Observer(model, revision, variant, registry=self.registry, **given)

    def __getitem__(self, asked: str) -> dict[str, float]:
        """`name label label`: the counts of a metric by those labels, all else added up; zeros left out."""
        name, *labels = asked.split()
        found: dict[str, float] = {}
        for family in self.registry.collect():
            for sample in family.samples:
                if sample.name == f"makeweight_{name}":
                    key = " ".join(sample.labels[label] for label in labels)
                    found[key] = found.get(key, 0) + sample.value
        return {key: value for key, value in found.items() if value}

    def count(self, name: str, **labels: str) -> float:
        """One number: the sum over the series that have these labels."""
        return sum(
            sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == f"makeweight_{name}" and labels.items() <= sample.labels.items()
        )
