"""The operators a budget is written with: a pure table from name to what is compared with what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from makeweight.budget.measurand import Comparison
from makeweight.budget.metric import Metric
from makeweight.budget.quantity import CHANGE, COUNT, FRACTION, NUMBER, POINTS, RATIO, Dimension

Relative = Literal["baseline", "merge base"]


@dataclass(frozen=True)
class Operator:
    """How a limit reads: which measurement it is about, and which side of it is allowed."""

    name: str
    comparison: Comparison | None
    """What is limited: a comparison, or (None) the metric's own figure."""
    upper: bool
    """True: the value may be at most the limit. False: at least."""
    against: Relative | None
    words: str
    meaning: str

    def limit_dimension(self, metric: Metric) -> Dimension:
        return dimension(metric, self.comparison)

    def fits(self, metric: Metric) -> str | None:
        """Why this operator makes no sense on `metric`; None when it does."""
        if self.comparison == "drop":
            if metric.dimension not in (FRACTION, NUMBER):
                return "a drop is for quality; limit how it grows with `max_ratio`"
            if metric.better == "lower":
                return "lower is better here, so it cannot drop too far; use `max` or `max_ratio`"
        elif self.comparison is not None:
            if metric.better != "lower":
                return "use `min` or `max_drop`" if metric.origin == "evaluate" else "higher is better here; use `min`"
            if self.comparison == "ratio" and metric.paired:
                return f"the baseline has no {metric.title} against itself; use `max`"
            if self.comparison == "regression" and metric.dimension == COUNT:
                return "counts are exact; use `max` or `max_ratio`"
        elif self.upper and metric.better == "higher":
            return "higher is better here; use `min`"
        elif not self.upper and metric.better == "lower":
            return "lower is better here; use `max`"
        return None

    def absolute(self, limit: float, baseline: float | None, better: str) -> float | None:
        """A limit as the metric's own figure, counted from the baseline's; None where that cannot be told.

        Args:
            better: which way the metric is better, `higher` or `lower`.
        """
        if self.comparison is None:
            return limit
        if baseline is None or self.comparison == "regression":
            return None
        if self.comparison == "ratio":
            return baseline * limit
        return baseline - limit if better == "higher" else baseline + limit


def dimension(metric: Metric, comparison: Comparison | None) -> Dimension:
    """What a metric's own figure, or a comparison of it, is a quantity of."""
    if comparison == "ratio":
        return RATIO
    if comparison == "regression":
        return CHANGE
    if comparison == "drop":
        return POINTS if metric.dimension == FRACTION else NUMBER
    return metric.dimension


OPERATORS: dict[str, Operator] = {
    operator.name: operator
    for operator in (
        Operator("max", None, True, None, "at most", "the variant's value may be at most this"),
        Operator("min", None, False, None, "at least", "the variant's value must be at least this"),
        Operator(
            "max_ratio", "ratio", True, "baseline", "at most", "variant / baseline of the same commit, at most this"
        ),
        Operator(
            "max_drop",
            "drop",
            True,
            "baseline",
            "drop at most",
            "baseline - variant on the same examples, at most this",
        ),
        Operator(
            "max_regression",
            "regression",
            True,
            "merge base",
            "regression at most",
            "growth against the same variant at the merge base, at most this",
        ),
    )
}
