"""Energy of one inference: measured by a meter, or unavailable with its reason; never estimated from a constant."""

from __future__ import annotations

from collections.abc import Iterator

from makeweight.budget.measurand import Measurand
from makeweight.measurement import Measurement, unavailable

NO_METER = "no energy meter can be read in this version of makeweight"


def measure(variant: str, device: str) -> Iterator[Measurement]:
    yield unavailable(Measurand("energy"), variant, "J", NO_METER, device=device)
    yield unavailable(Measurand("energy", "ratio"), variant, "ratio", NO_METER, device=device)
