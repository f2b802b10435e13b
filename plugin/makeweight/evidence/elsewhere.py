"""Quality that holds where it was evaluated, and not on a device that answers otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from makeweight.artifact.artifact import Manifest
from makeweight.budget.metric import METRICS
from makeweight.measure.elsewhere import Unlike, unlike
from makeweight.measure.outcomes import Outcomes
from makeweight.measure.timings import Timings
from makeweight.measurement import Measurement


def marked(
    measurements: Iterable[Measurement],
    manifests: Mapping[str, Manifest],
    evaluated: Mapping[str, Outcomes],
    timed: Mapping[tuple[str, str], Timings],
) -> list[Measurement]:
    """The figures, those of quality unavailable where a device changes a variant's answers more than compression did:
    what was counted is then not what is answered there."""
    reasons: dict[str, str] = {}
    for (variant, device), taken in timed.items():
        manifest = manifests.get(variant)  # of what was never made, neither a model nor a manifest need be here
        if variant in evaluated and manifest is not None and manifest.model is not None:
            names = [port.name for port in manifest.model.outputs]
            left = ({}, {}) if manifest.trial is None else (manifest.trial.decibels, manifest.trial.same)
            found = unlike(taken.outputs, evaluated[variant].outputs, names, *left)
            if found is not None:
                reasons.setdefault(variant, _told(device, found))
    return [
        figure.absent(reasons[figure.variant], "elsewhere")
        if figure.variant in reasons and _of_answers(figure) and figure.value is not None
        else figure
        for figure in measurements
    ]


def _of_answers(figure: Measurement) -> bool:
    metric = METRICS.get(figure.metric)
    return metric is not None and metric.origin == "evaluate"


def _told(device: str, found: Unlike) -> str:
    if found.same is None:
        left = "" if found.compression is None else f"{found.compression:.1f} dB"
        how = f"signal to noise {found.decibels:.1f} dB"
    else:
        left = "" if found.compression_same is None else f"{found.compression_same:.1%}"
        how = f"{found.same:.1%} of its integers are the same"
    beside = f", and compression left {left}" if left else ""
    return f"on `{device}` it answers otherwise than where it was evaluated (`{found.output}`: {how}{beside})"
