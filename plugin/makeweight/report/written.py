"""How a figure is written: its title, its value with the unit, its interval."""

from __future__ import annotations

from makeweight.budget import operator
from makeweight.budget.measurand import Measurand
from makeweight.budget.metric import METRICS
from makeweight.budget.quantity import (
    BYTES,
    FRACTION,
    JOULES,
    NUMBER,
    PER_SECOND,
    RATIO,
    SECONDS,
    Dimension,
    show_beside,
    show_interval,
)
from makeweight.measurement import Measurement

_TITLES = {
    "mcnemar_p": "McNemar's p",
    "nonfinite_outputs": "answers that are not finite",
    "preprocess_share": "preprocessing, of end to end",
    "model_share": "the model, of end to end",
    "postprocess_share": "postprocessing, of end to end",
    "same_answers": "same answers from end to end",
    "memory_anonymous": "memory held, anonymous",
    "memory_mapped": "memory held, mapped from the file",
}
_UNITS = {of.symbol: of for of in (BYTES, FRACTION, SECONDS, JOULES, PER_SECOND, RATIO)}


def dimension(of: Measurand, unit: str = "") -> Dimension:
    """Of a figure; `unit` is the measurement's own, for what no budget can limit."""
    if of.metric not in METRICS:
        return _UNITS.get(unit, NUMBER)
    return operator.dimension(METRICS[of.metric], of.comparison)


def title(of: Measurand, device: str | None = None) -> str:
    """`latency p50 on pi5`, `accuracy of night`, `accuracy drop against the control`."""
    metric = METRICS[of.metric].title if of.metric in METRICS else _TITLES.get(of.metric, of.metric.replace("_", " "))
    if of.comparison == "regression":
        metric += " against the merge base"
    elif of.comparison is not None:
        metric += f" {of.comparison}{' against the control' if of.control else ''}"
    elif of.control:
        metric += " of the control"
    metric += f" of {of.slice}" if of.slice else ""
    if of.is_cell:
        metric += f" in batches of {of.batch} on {of.threads} thread{'s' * (of.threads != 1)}"
    return f"{metric} on {device}" if device else metric


def written(measurement: Measurement, limit: float | None = None) -> str:
    """A plain figure with its unit.

    Args:
        limit: what it stands beside and is not to read like, where it is not that.
    """
    if measurement.value is None:
        return "not measured"
    about = "about " if measurement.status == "estimated" else ""
    return about + show_beside(measurement.value, limit, dimension(measurement.measurand, measurement.unit))


def written_interval(measurement: Measurement) -> str:
    """`[98.1, 99.0]`: the unit is that of the figure; empty for what is exact."""
    if measurement.interval is None:
        return ""
    return show_interval(*measurement.interval, dimension(measurement.measurand, measurement.unit))
