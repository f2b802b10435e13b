"""Figures that examples have together: with an interval, and paired with the baseline's on the same resamples; of the
whole set and of each slice of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from makeweight.budget.measurand import Measurand
from makeweight.budget.metric import METRICS
from makeweight.layout import BASELINE
from makeweight.measure.bootstrap import METHOD, Statistic, interval, resampled, whole
from makeweight.measure.outcomes import Outcomes
from makeweight.measure.statistics import Interval
from makeweight.measure.tasks.task import Figures
from makeweight.measurement import Measurement, unavailable

CONFIDENCE = 0.95
Reasons = Mapping[str, str]
"""Why a model has no figure of a metric, by metric."""


@dataclass(frozen=True)
class WholeSet:
    """What makes the figures of a task.

    `statistic`: from a model's answers to its figures. One that each class has is of shape [resamples, classes], and
    what is told of it is the lowest. `reasons`: why these answers lack a figure. `names`: of those classes. `some`:
    the answers to some of the examples.
    """

    statistic: Callable[[Outcomes], Statistic]
    reasons: Callable[[Outcomes], Reasons]
    names: Callable[[Outcomes], Sequence[str]] = lambda _: ()
    some: Callable[[Outcomes, NDArray[np.bool_]], Outcomes] = Outcomes.some

    def figures(self, variant: str, own: Outcomes, baseline: Outcomes | None) -> Figures:
        """Every figure of `own`, and how it compares with the baseline's: a ratio where less is better, or a drop."""
        yield from self._figures(variant, own, baseline, "test split")
        for name, members in groups(own):
            part = self.some(own, members), None if baseline is None else self.some(baseline, members)
            for figure in self._figures(variant, *part, "slice of the test split"):
                if METRICS[figure.metric].sliced:
                    yield replace(figure, slice=name)

    def _figures(self, variant: str, own: Outcomes, baseline: Outcomes | None, of: str) -> Figures:
        examples, reasons, names = len(own), self.reasons(own), self.names(own)
        statistics = [self.statistic(each) for each in (own, baseline) if each is not None]
        values = [each(whole(examples)) for each in statistics]
        varied = resampled(examples, *statistics) if examples > 1 else None

        def figure(model: int, metric: str, place: int | None) -> _Figure:
            value = float(_at(values[model][metric], place)[0])
            return _Figure(value, None if varied is None else _at(varied[model][metric], place))

        for metric, found in values[0].items():
            about = _About(metric, variant, examples, of, reasons.get(metric, ""))
            place = _lowest(found)
            yield about.alone(figure(0, metric, place), None if place is None else names[place])
            if baseline is None:
                continue
            place = _lowest(found - values[1][metric])
            now, before = (figure(model, metric, place) for model in (0, 1))
            yield about.compared(now, before, names[place] if place is not None and now.value < before.value else None)


@dataclass(frozen=True)
class _Figure:
    """`varied`: of each resample; None: there are too few examples for any."""

    value: float
    varied: NDArray[np.float64] | None


@dataclass(frozen=True)
class _About:
    """What a figure is of: its metric, its model, and the examples; and why it may be lacking."""

    metric: str
    variant: str
    examples: int
    of: str
    reason: str

    def alone(self, figure: _Figure, detail: str | None) -> Measurement:
        unit = METRICS[self.metric].dimension.symbol
        if not np.isfinite(figure.value):
            return unavailable(Measurand(self.metric), self.variant, unit, self.reason)
        spread = None if figure.varied is None else interval(figure.varied, CONFIDENCE)
        told = f"{self.of}, {METHOD}"
        return Measurement(self.metric, self.variant, unit, figure.value, spread, self.examples, told, detail=detail)

    def compared(self, now: _Figure, before: _Figure, detail: str | None) -> Measurement:
        falls = METRICS[self.metric].better != "lower"
        of = Measurand(self.metric, "drop" if falls else "ratio")
        unit = METRICS[self.metric].dimension.symbol if falls else "ratio"
        if not np.isfinite(now.value):
            return unavailable(of, self.variant, unit, self.reason)
        if not np.isfinite(before.value):
            return unavailable(of, self.variant, unit, "the baseline has no such figure")
        if not falls and before.value <= 0:
            return unavailable(of, self.variant, unit, "the baseline's error is zero, so there is no ratio to it")
        spread: Interval | None = None
        if now.varied is not None and before.varied is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                apart = before.varied - now.varied if falls else now.varied / before.varied
            spread = interval(apart, CONFIDENCE)
        return Measurement(
            self.metric,
            self.variant,
            unit,
            before.value - now.value if falls else now.value / before.value,
            spread,
            self.examples,
            f"paired: both on the same resamples of the {self.of}, {METHOD}",
            BASELINE,
            comparison=of.comparison,
            detail=detail,
        )


def _at(figures: NDArray[np.float64], place: int | None) -> NDArray[np.float64]:
    return figures if place is None else figures[:, place]


def _lowest(figures: NDArray[np.float64]) -> int | None:
    """The class with the lowest figure, of shape [1, classes]; None where it is no figure of classes."""
    return int(np.where(np.isfinite(figures[0]), figures[0], np.inf).argmin()) if figures.ndim == 2 else None


def groups(outcomes: Outcomes) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """The slices of the examples: each one's name, and which belong to it, shape [examples]."""
    if outcomes.slices is not None:
        for name in sorted(set(outcomes.slices.tolist()) - {""}):
            yield name, outcomes.slices == name
