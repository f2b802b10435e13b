"""What is at hand of a project, and evidence: all that was measured, marked stale where it does not belong to that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from makeweight.artifact.artifact import Manifest
from makeweight.devices.record import Record
from makeweight.measure.outcomes import Outcomes
from makeweight.measure.timings import Timings
from makeweight.measurement import Measurement
from makeweight.project.project import Project


@dataclass(frozen=True)
class AtHand:
    """What figures have to belong to, by variant or device; what is not there is absent."""

    project: Project
    manifests: Mapping[str, Manifest]
    hashes: Mapping[str, str | None]
    """Of the models that are really there; None for one that is not as its manifest tells."""
    answers: Mapping[str, Outcomes]
    """Also those whose figures turn out stale."""
    devices: Mapping[str, Record]
    versions: Mapping[str, str]
    """Of the runtimes that are installed here."""
    inputs: str | None
    """sha256 of the samples that benchmarks are fed with."""
    sources: str | None = None
    """Digest of the code that goes to devices; None where no pipeline is declared."""
    raw: str | None = None
    """sha256 of the raw samples that pipelines begin with."""


@dataclass(frozen=True)
class Evidence:
    """What a decision and a report are made from."""

    measurements: tuple[Measurement, ...]
    failed: Mapping[str, str]
    """Why a recipe could not be carried out, by variant."""
    manifests: Mapping[str, Manifest]
    """By variant, `baseline` among them."""
    devices: Mapping[str, Record]
    """What each device said of itself; absent where it was never asked."""
    outcomes: Mapping[str, Outcomes]
    timings: Mapping[tuple[str, str], Timings]
    """By variant and device."""
    provenance: Mapping[str, Any]


NOTHING = Evidence((), {}, {}, {}, {}, {}, {})
"""What is known where nothing is at hand."""
