"""What is at hand of a project besides its figures: what they have to belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from makeweight.artifact.artifact import Manifest
from makeweight.devices.record import Record
from makeweight.measure.outcomes import Outcomes
from makeweight.project.project import Project


@dataclass(frozen=True)
class AtHand:
    """Read from disk, each by variant or device; what is not there is absent."""

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
