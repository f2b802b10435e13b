"""How good a model's answers are, alone and paired with the baseline's on the same examples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from makeweight.budget.measurand import Measurand
from makeweight.budget.metric import METRICS
from makeweight.config.settings import TaskSettings
from makeweight.measure.outcomes import Outcomes
from makeweight.measure.tasks.table import TASKS
from makeweight.measurement import Measurement, unavailable


def measure(task: TaskSettings, variant: str, own: Outcomes, baseline: Outcomes | None) -> list[Measurement]:
    """Every quality figure of one model; with `baseline`, also how far it fell.

    Raises:
        ValueError: the two answered different examples.
    """
    if baseline is not None and baseline.digest != own.digest:
        raise ValueError("the baseline and the variant answered different examples")
    figures = TASKS[task.kind].figures(task, variant, own, baseline)
    bad = int(np.count_nonzero(~own.finite))
    share = Measurement("nonfinite_outputs", variant, "fraction", bad / max(len(own), 1), samples=len(own))
    detail = f"{bad} of {len(own)} examples" if bad else None
    return [*figures, replace(share, method="answers that hold NaN or infinity", detail=detail)]


def missing(task: TaskSettings, variant: str, reason: str) -> list[Measurement]:
    """The quality figures of a model that could not be run."""
    metrics = [metric.name for metric in METRICS.values() if metric.origin == "evaluate" and task.has(metric)]
    wanted = [*(Measurand(name, how) for name in metrics for how in (None, "drop")), Measurand("nonfinite_outputs")]
    return [unavailable(of, variant, "fraction", reason) for of in wanted]
