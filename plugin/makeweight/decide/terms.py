"""What is to be decided: the project's rules, variants, devices and policy, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from makeweight.budget.measurand import Measurand
from makeweight.decide.waivers import Waiver
from makeweight.measurement import Measurement

if TYPE_CHECKING:
    from makeweight.budget.rule import Rule

BEST = "best"


@dataclass(frozen=True)
class Terms:
    """What is to be decided, as the project declares it."""

    project: str
    rules: tuple[Rule, ...]
    variants: tuple[str, ...]
    devices: Mapping[str, float]
    """Device names, each with the seconds that a benchmark on it may take."""
    ship: str = BEST
    prefer: str = "latency"
    quality: str = "accuracy"
    """The metric that says which variant is most accurate."""
    quality_better: str = "higher"
    waivers: tuple[Waiver, ...] = ()
    """Those in force: whether one has lapsed depends on the day, and is settled before (`waivers.in_force`)."""


Place = tuple[str, str | None, Measurand]
"""Variant, device (None where devices do not matter), and what was measured there."""
Measured = Mapping[Place, Measurement]
