"""Evidence as it lies on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from makeweight import measurement, registry
from makeweight.artifact import artifact
from makeweight.artifact.artifact import Manifest
from makeweight.devices import record
from makeweight.evidence import elsewhere, staleness
from makeweight.evidence.evidence import AtHand, Evidence
from makeweight.evidence.provenance import hash_of, provenance
from makeweight.layout import BASELINE
from makeweight.measure import outcomes, timings
from makeweight.measure.outcomes import Outcomes
from makeweight.measure.timings import Timings
from makeweight.measurement import Measurement
from makeweight.project.project import Project
from makeweight_base.errors import UsageError


def collect(project: Project) -> Evidence:
    """Read what exists. What is missing is simply not there; the decision says so rule by rule.

    Raises:
        UsageError: a file is there and damaged.
    """
    layout, at_hand = project.layout, _at_hand(project)
    measurements: list[Measurement] = []
    timed: dict[tuple[str, str], Timings] = {}
    fresh: dict[str, Outcomes] = {}
    for name in (BASELINE, *project.variants):
        figures = _if_there(_figures, path := layout.evaluation(name)) or []
        if any(figure.device is not None for figure in figures):  # the user's own code runs where this file is written
            raise UsageError("holds figures of a device, which no evaluation measures", where=str(path))
        objection = staleness.of_evaluation(name, figures, at_hand)
        measurements += _marked(figures, objection)
        # what was answered, example by example, is shown only where its figures count
        if figures and objection is None and name in at_hand.answers:
            fresh[name] = at_hand.answers[name]
    for name in project.variants:
        for device in project.devices:
            figures = _if_there(_figures, layout.benchmark(name, device)) or []
            objection = staleness.of_benchmark(name, device, figures, at_hand)
            measurements += _marked(figures, objection)
            taken = _if_there(timings.read, layout.timings(name, device))
            if figures and objection is None and taken is not None:
                timed[name, device] = taken
    measurements = elsewhere.marked(measurements, at_hand.manifests, fresh, timed)
    made_from = provenance(at_hand, fresh, timed)
    return Evidence(
        tuple(measurements), made_from["failed"], at_hand.manifests, at_hand.devices, fresh, timed, made_from
    )


def _at_hand(project: Project) -> AtHand:
    layout = project.layout
    names = [BASELINE, *project.variants]
    manifests = {n: made for n in names if (made := artifact.found(layout.artifact(n))) is not None}
    return AtHand(
        project=project,
        manifests=manifests,
        hashes={name: _hash(manifest) for name, manifest in manifests.items()},
        answers={n: own for n in names if (own := _if_there(outcomes.read, layout.outcomes(n))) is not None},
        devices={n: asked for n in project.devices if (asked := _if_there(record.read, layout.device(n))) is not None},
        versions={n: own for n in {m.runtime for m in manifests.values()} if (own := _version(n)) is not None},
        inputs=hash_of(layout.inputs),
        sources=None if project.pipeline is None else project.code.digest(),
        raw=hash_of(layout.raw),
    )


def _if_there(read: Any, path: Path) -> Any:
    return read(path) if path.exists() else None


def _figures(path: Path) -> list[Measurement]:
    return measurement.loads(path.read_text(encoding="utf-8"), str(path))


def _hash(manifest: Manifest) -> str | None:
    """The sha256 of the model at hand; None when there is none or it is not the one its manifest describes."""
    return manifest.sha256 if manifest.model is not None and manifest.model.is_whole() else None


def _version(runtime: str) -> str | None:
    """None where only reports are made: neither the runtime nor its part need be installed there."""
    try:
        version: str | None = registry.load("runtime", runtime)().version()
    except UsageError:
        return None
    return version


def _marked(figures: list[Measurement], objection: str | None) -> list[Measurement]:
    return figures if objection is None else [figure.stale(objection) for figure in figures]
