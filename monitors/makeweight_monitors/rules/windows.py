"""Over which time rules look back, as data.

The burn windows are those of the Site Reliability Workbook (chapter 5, "Alerting on SLOs", table 5-8): a budget that is
meant for thirty days and burns 14.4 times too fast loses 2 % of itself within the hour. The short window ends an alert
soon after its cause.
"""

from __future__ import annotations

from dataclasses import dataclass

from makeweight_monitors.rules.rule import ALARM, EVIDENCE, Level


@dataclass(frozen=True)
class Burn:
    factor: float
    """Times the budget's share of bad events."""
    long: str
    short: str
    level: Level


BURNS = (
    Burn(14.4, "1h", "5m", ALARM),
    Burn(6, "6h", "30m", ALARM),
    Burn(3, "1d", "2h", EVIDENCE),
    Burn(1, "3d", "6h", EVIDENCE),
)
SLOW = ("6h", "1d", "3d")
"""Windows too long to be worth reading again at every evaluation."""
SLOW_INTERVAL = "2m"
"""Below the five minutes after which Prometheus holds a recorded value for gone."""

COMPARE = "30m"
"""Two arms, two distributions."""
BY_GROUP = "6h"
"""What is told apart by class or slice, and labels, which come late."""
SPEED = "5m"
RECENT = "15m"
"""Events that are rare, and each worth an alert."""
INPUTS, INPUTS_BEFORE = "1h", "1d"
