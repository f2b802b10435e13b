"""Figures that all examples have together: with an interval, and paired with the baseline's on the same resamples."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from makeweight.budget.measurand import Measurand
from makeweight.budget.metric import METRICS
from makeweight.layout import BASELINE
from makeweight.measure.bootstrap import METHOD, Statistic, interval, resampled, whole
from makeweight.measure.outcomes import Outcomes
from makeweight.measure.tasks.task import Figures
from makeweight.measurement import Measurement, unavailable

CONFIDENCE = 0.95
Reasons = Mapping[str, str]
"""Why a model has no figure of a metric, by metric."""


def figures(
    variant: str, own: Outcomes, baseline: Outcomes | None, statistic: Callable[[Outcomes], Statistic], reasons: Reasons
) -> Figures:
    """Every figure of `own`, and how it compares with the baseline's: a ratio where less is better, or a drop.

    Args:
        statistic: what makes the figures of a model's answers.
    """
    examples = len(own)
    statistics = [statistic(each) for each in (own, baseline) if each is not None]
    values = [{name: float(found[0]) for name, found in each(whole(examples)).items()} for each in statistics]
    varied = resampled(examples, *statistics) if examples > 1 else None
    for metric, value in values[0].items():
        unit = METRICS[metric].dimension.symbol
        if np.isfinite(value):
            spread = None if varied is None else interval(varied[0][metric], CONFIDENCE)
            told = f"test split, {METHOD}"
            yield Measurement(metric, variant, unit, value, spread, examples, told)
        else:
            yield unavailable(Measurand(metric), variant, unit, reasons[metric])
        if baseline is None:
            continue
        before, falls = values[1][metric], METRICS[metric].better != "lower"
        of = Measurand(metric, "drop" if falls else "ratio")
        unit = unit if falls else "ratio"
        if not np.isfinite(value):
            yield unavailable(of, variant, unit, reasons[metric])
        elif not np.isfinite(before):
            yield unavailable(of, variant, unit, "the baseline has no such figure")
        elif not falls and before <= 0:
            yield unavailable(of, variant, unit, "the baseline's error is zero, so there is no ratio to it")
        else:
            spread = None
            if varied is not None:
                after, was = varied[0][metric], varied[1][metric]
                with np.errstate(divide="ignore", invalid="ignore"):
                    spread = interval(was - after if falls else after / was, CONFIDENCE)
            compared = before - value if falls else value / before
            told = f"paired: both on the same resamples of the test split, {METHOD}"
            yield Measurement(
                metric, variant, unit, compared, spread, examples, told, BASELINE, comparison=of.comparison
            )
