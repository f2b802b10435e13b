"""How good a model's answers are, alone and paired with the baseline's on the same examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.budget.measurand import Measurand
from makeweight.budget.metric import METRICS, TaskKind
from makeweight.config.settings import TaskSettings
from makeweight.layout import BASELINE
from makeweight.measure.outcomes import Outcomes
from makeweight.measure.statistics import mcnemar, mean_difference, paired_difference, wilson
from makeweight.measurement import Measurement, unavailable

CONFIDENCE = 0.95
_PAIRED = "paired on the test split, 95 % interval (Bonett-Price)"
_BOOTSTRAPS = 1000
_Figures = Iterator[Measurement]


def measure(task: TaskSettings, variant: str, own: Outcomes, baseline: Outcomes | None) -> list[Measurement]:
    """Every quality figure of one model; with `baseline`, also how far it fell.

    Raises:
        ValueError: the two answered different examples.
    """
    if baseline is not None and baseline.digest != own.digest:
        raise ValueError("the baseline and the variant answered different examples")
    figures = _MEASURES[task.kind](task, variant, own, baseline)
    bad = int(np.count_nonzero(~own.finite))
    share = Measurement("nonfinite_outputs", variant, "fraction", bad / max(len(own), 1), samples=len(own))
    detail = f"{bad} of {len(own)} examples" if bad else None
    return [*figures, replace(share, method="answers that hold NaN or infinity", detail=detail)]


def missing(task: TaskKind, variant: str, reason: str) -> list[Measurement]:
    """The quality figures of a model that could not be run."""
    metrics = [m.name for m in METRICS.values() if m.origin == "evaluate" and task in m.tasks]
    wanted = [*(Measurand(name, how) for name in metrics for how in (None, "drop")), Measurand("nonfinite_outputs")]
    return [unavailable(of, variant, "fraction", reason) for of in wanted]


def _classification(task: TaskSettings, variant: str, own: Outcomes, baseline: Outcomes | None) -> _Figures:
    right, n = own.right, len(own)
    yield _share("accuracy", variant, int(right.sum()), n, "test split,")
    by_class = {c: own.target == c for c in range(own.classes) if (own.target == c).any()}
    worst = min(by_class, key=lambda c: float(right[by_class[c]].mean()))
    lowest = _share("worst_class_accuracy", variant, *_counted(right, by_class[worst]), "lowest of the classes,")
    yield replace(lowest, detail=class_name(task, worst))
    for name, members in _groups(own):
        yield replace(_share("accuracy", variant, *_counted(right, members), "examples of the slice,"), slice=name)
    if baseline is None:
        return
    before = baseline.right
    yield _drop("accuracy", variant, before, right)
    drops = {c: _drop("worst_class_accuracy", variant, before[of], right[of]) for c, of in by_class.items()}
    deepest = max(drops, key=lambda c: drops[c].value or 0.0)
    yield replace(drops[deepest], detail=class_name(task, deepest))
    for name, members in _groups(own):
        yield replace(_drop("accuracy", variant, before[members], right[members]), slice=name)
    harm, gain = _flips(before, right)
    yield replace(_share("negative_flips", variant, harm, n, "baseline right, variant wrong;"), against=BASELINE)
    yield replace(_share("positive_flips", variant, gain, n, "baseline wrong, variant right;"), against=BASELINE)
    p = mcnemar(harm, gain)
    yield Measurement("mcnemar_p", variant, "probability", p, None, n, "exact McNemar test", against=BASELINE)


def _share(metric: str, variant: str, count: int, n: int, of: str) -> Measurement:
    method = f"{of} 95 % interval (Wilson)"
    return Measurement(metric, variant, "fraction", count / n, wilson(count, n, CONFIDENCE), n, method)


def _counted(right: NDArray[np.bool_], members: NDArray[np.bool_]) -> tuple[int, int]:
    """How many of the members are right, and how many there are."""
    return int(right[members].sum()), int(members.sum())


def class_name(task: TaskSettings, index: int) -> str:
    return task.classes[index] if task.classes and index < len(task.classes) else str(index)


def _groups(outcomes: Outcomes) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    if outcomes.slices is not None:
        for name in sorted(set(outcomes.slices.tolist()) - {""}):
            yield name, outcomes.slices == name


def _flips(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> tuple[int, int]:
    return int(np.count_nonzero(before & ~after)), int(np.count_nonzero(~before & after))


def _drop(metric: str, variant: str, before: NDArray[np.bool_], after: NDArray[np.bool_]) -> Measurement:
    (harm, gain), n = _flips(before, after), len(before)
    fall = (harm - gain) / n  # from counts, so that 1 of 200 is 0.005 to the last bit
    spread = paired_difference(harm, gain, n, CONFIDENCE)
    return Measurement(metric, variant, "fraction", fall, spread, n, _PAIRED, BASELINE, comparison="drop")


Statistic = Callable[[NDArray[Any], NDArray[Any]], float]


def _mae(output: NDArray[Any], target: NDArray[Any]) -> float:
    return float(np.abs(output - target).mean())


def _rmse(output: NDArray[Any], target: NDArray[Any]) -> float:
    return float(np.sqrt(np.square(output - target).mean()))


def _r2(output: NDArray[Any], target: NDArray[Any]) -> float:
    if (target == target[0]).all():  # their mean is not exactly theirs, so that the total would not be exactly 0
        return float("nan")
    total = float(np.square(target - target.mean(axis=0)).sum())
    return 1 - float(np.square(output - target).sum()) / total


def _regression(task: TaskSettings, variant: str, own: Outcomes, baseline: Outcomes | None) -> _Figures:
    del task
    n, method = len(own), "test split, 95 % interval (percentile bootstrap)"
    for metric, statistic in (("mae", _mae), ("rmse", _rmse), ("r2", _r2)):
        value = statistic(own.prediction, own.target)
        if not np.isfinite(value):
            reason = "answers hold NaN or infinity" if not own.finite.all() else "every target is the same"
            yield unavailable(Measurand(metric), variant, "number", reason)
        else:
            spread = _bootstrap(own, lambda rows, s=statistic: s(own.prediction[rows], own.target[rows]))  # type: ignore[misc]
            yield Measurement(metric, variant, "number", value, spread, n, method)
    if baseline is not None:
        yield _compared(Measurand("mae", "ratio"), variant, own, baseline, _mae)
        yield _compared(Measurand("rmse", "ratio"), variant, own, baseline, _rmse)
        yield _compared(Measurand("r2", "drop"), variant, own, baseline, _r2)


def _compared(of: Measurand, variant: str, own: Outcomes, baseline: Outcomes, statistic: Statistic) -> Measurement:
    """A statistic's ratio to the baseline's, or how far it fell."""

    def compare(rows: NDArray[Any]) -> float:
        before, after = (statistic(each.prediction[rows], each.target[rows]) for each in (baseline, own))
        if of.comparison == "drop":
            return before - after
        return after / before if before > 0 else float("inf")

    value, unit = compare(np.arange(len(own))), "number" if of.comparison == "drop" else "ratio"
    if not np.isfinite(value):
        reason = "the baseline's error is zero, so there is no ratio to it"
        if of.comparison == "drop":
            reason = "one of the two has no such figure"
        elif not np.isfinite(statistic(own.prediction, own.target)):
            reason = "answers hold NaN or infinity"
        return unavailable(of, variant, unit, reason)
    told = len(own), "paired, 95 % interval (bootstrap)", BASELINE
    return Measurement(of.metric, variant, unit, value, _bootstrap(own, compare), *told, comparison=of.comparison)


def _bootstrap(own: Outcomes, statistic: Callable[[NDArray[Any]], float]) -> tuple[float, float] | None:
    """Percentile interval over resampled examples (Efron, 1979); None when a resample has no finite figure.

    A single example says nothing of how figures vary: None too.
    """
    if len(own) < 2:
        return None
    rng = np.random.default_rng(0)
    figures = [statistic(rng.integers(0, len(own), len(own))) for _ in range(_BOOTSTRAPS)]
    if not np.isfinite(figures).all():
        return None
    low, high = np.quantile(figures, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _custom(task: TaskSettings, variant: str, own: Outcomes, baseline: Outcomes | None) -> _Figures:
    scores = own.prediction.astype(np.float64)
    value = float(scores.mean())
    if not np.isfinite(value):
        reason = f"`{task.metric}` gave a figure that is not finite"
        yield unavailable(Measurand("metric"), variant, "number", reason)
        yield unavailable(Measurand("metric", "drop"), variant, "number", reason)
        return
    per_example = len(scores) == len(own) and len(scores) > 1
    interval = mean_difference(scores, CONFIDENCE) if per_example else None
    told = ", 95 % interval (normal)" if per_example else ""
    yield Measurement(
        "metric", variant, "number", value, interval, len(own), f"`{task.metric}` on the test split{told}"
    )
    if baseline is None:
        return
    before = baseline.prediction.astype(np.float64)
    sign = 1.0 if task.better == "higher" else -1.0
    fall = sign * (before - scores)
    value, interval = float(fall.mean()), mean_difference(fall, CONFIDENCE) if per_example else None
    method = "paired on the test split" + told
    yield Measurement("metric", variant, "number", value, interval, len(own), method, BASELINE, comparison="drop")


_MEASURES: Mapping[TaskKind, Callable[[TaskSettings, str, Outcomes, Outcomes | None], _Figures]]
_MEASURES = {"classification": _classification, "regression": _regression, "custom": _custom}
