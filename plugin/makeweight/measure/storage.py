"""What a model file weighs: bytes, parameters, multiply-accumulates; and against the baseline's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from makeweight.artifact.artifact import Manifest
from makeweight.artifact.ports import free_sizes
from makeweight.budget.measurand import Measurand
from makeweight.budget.metric import METRICS
from makeweight.layout import BASELINE
from makeweight.measurement import Measurement, unavailable


def measure(own: Manifest, baseline: Manifest | None) -> Iterator[Measurement]:
    """Every figure of the catalogue that the file alone decides, from the manifests."""
    for metric in METRICS.values():
        if metric.origin != "compress":
            continue
        name, unit = metric.name, metric.dimension.symbol
        value = getattr(own, name)
        if own.status == "failed" or value is None:
            reason = own.reason or f"{metric.title} could not be counted: {_hidden(name, own)}"
            yield unavailable(Measurand(name), own.variant, unit, reason)
            if baseline is not None:
                yield unavailable(Measurand(name, "ratio"), own.variant, "ratio", reason)
            continue
        how = f"counted in the file{_of_which(name, own)}"
        yield Measurement(name, own.variant, unit, value, method=how)
        if baseline is not None:
            before = getattr(baseline, name)
            if before:
                ratio = Measurement(name, own.variant, "ratio", value / before, method=how, against=BASELINE)
                yield replace(ratio, comparison="ratio")
            else:
                reason = "the baseline has none to compare with"
                yield unavailable(Measurand(name, "ratio"), own.variant, "ratio", reason)


def _of_which(metric: str, own: Manifest) -> str:
    """Of which examples it is the figure, where they are not alike."""
    free = [] if metric != "macs" or own.model is None else free_sizes(own.model.inputs)
    return f", a mean over the examples that latency is measured on: {', '.join(free)} differ" if free else ""


def _hidden(metric: str, own: Manifest) -> str:
    """Why a graph does not tell a figure; where a delegate holds the graph, it hides the rest too."""
    if metric != "macs" or own.model is None:
        return "the file hides it"
    return "the graph's shapes are not all known, or an operator's cost does not follow from them"
