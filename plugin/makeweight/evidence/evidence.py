"""Evidence: all that was measured, with whatever does not belong to what is at hand marked stale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from makeweight.artifact.artifact import Manifest
from makeweight.devices.record import Record
from makeweight.measure.outcomes import Outcomes
from makeweight.measure.timings import Timings
from makeweight.measurement import Measurement


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
