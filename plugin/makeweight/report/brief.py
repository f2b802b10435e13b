"""A verdict in few figures: what ships or is nearest to it, how large, how fast and how good beside its baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from makeweight.budget.measurand import Measurand
from makeweight.decide.verdict import Outcome, Verdict
from makeweight.layout import BASELINE
from makeweight.report.comparison import LATENCY, SIZE
from makeweight.report.content import Content
from makeweight.report.figures import Figures
from makeweight.report.standing import leading


@dataclass(frozen=True)
class Brief:
    """Of one verdict. Figures that were not measured are None."""

    outcome: Outcome
    variant: str | None
    """What ships; where nothing does, what should, or is nearest to passing."""
    ships: bool
    size_ratio: float | None
    """variant / baseline."""
    latency_ratio: float | None
    """The same of the median latency, on the device where it is largest."""
    quality: str
    """The metric that stands for quality, such as `accuracy`."""
    quality_drop: float | None
    """By how much that is worse than the baseline's, in its base unit; negative where it is better. An error has
    `quality_ratio` in its place."""
    noise_floors: Mapping[str, float] = field(default_factory=dict)
    """By device, how far copies of one model differed there, as a fraction."""
    quality_ratio: float | None = None
    """Of an error, variant / baseline."""


def of(verdict: Verdict) -> Brief:
    """Raises:
    UsageError: a measurement of the verdict cannot be read.
    """
    figures, variant = Figures(Content(verdict)), leading(verdict)

    def largest(measurand: Measurand) -> float | None:
        own = [each for each in figures if each.measurand == measurand and each.variant == variant != BASELINE]
        return max((each.value for each in own if each.value is not None and each.status == "measured"), default=None)

    return Brief(
        verdict.verdict,
        variant,
        verdict.ship is not None,
        largest(SIZE.compared("ratio")),
        largest(LATENCY.compared("ratio")),
        figures.quality.metric,
        largest(figures.quality.compared("drop")),
        {device: floor for device in figures.devices if (floor := figures.noise_floor(device)) is not None},
        largest(figures.quality.compared("ratio")),
    )
