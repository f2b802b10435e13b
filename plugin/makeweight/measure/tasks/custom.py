"""Custom: a metric of the user's own, which is given every output by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from makeweight.budget.measurand import Measurand
from makeweight.config.settings import TaskSettings
from makeweight.layout import BASELINE
from makeweight.measure.outcomes import Outcomes
from makeweight.measure.sampled import mean_difference
from makeweight.measure.tasks.task import Asked, Figures, Kept, Outputs, finite
from makeweight.measure.tasks.whole_set import CONFIDENCE, groups
from makeweight.measurement import Measurement, unavailable
from makeweight.user import callables
from makeweight_base.errors import UsageError


class _Keeper:
    """`score`: what the metric gave, shape [examples]; or [1], one number over all.

    A metric that gives a score for each example is asked batch by batch. One that gives a plain number is asked once,
    with the answers to the whole split, which are held for it. A plain number for a batch of one example may be either:
    a score that lost its axis (`squeeze`). Other batches tell which.
    """

    def __init__(self, asked: Asked) -> None:
        self._dotted, self._root = str(asked.task.metric), asked.root
        self._function = callables.find(self._dotted, asked.root, where="makeweight.yaml: task.metric")
        self._scores: list[NDArray[np.float64]] = []
        self._held: list[tuple[Mapping[str, NDArray[Any]], NDArray[Any]]] = []
        self._of_all = False
        """Whether it is known to give one number for several examples."""

    def add(self, outputs: Outputs, targets: NDArray[Any]) -> NDArray[np.bool_]:
        several = len(targets) > 1
        if self._held and (self._of_all or not several):
            self._held.append((dict(outputs), targets))
        elif (given := self._asked(outputs, targets)).ndim == 0 and not self._scores:
            self._of_all = several
            self._held.append((dict(outputs), targets))
        else:
            self._scores += [self._by_example(self._asked(*each), each[1]) for each in self._held]
            self._held.clear()
            self._scores.append(self._by_example(given, targets))
        known = np.ones(len(targets), bool)
        for values in outputs.values():
            if values.dtype.kind == "f" and values.ndim and len(values) == len(targets):
                known &= finite(values)
        return known

    def kept(self) -> Kept:
        if not self._held:
            return Kept({"score": np.concatenate(self._scores)})
        names = self._held[0][0]
        outputs = {name: self._all(f"output `{name}`", [each[name] for each, _ in self._held]) for name in names}
        targets = self._all("the targets", [targets for _, targets in self._held])
        given = self._asked(outputs, targets)
        if given.shape == (len(targets),) and not self._of_all:
            return Kept({"score": given})
        if given.ndim > 0:
            raise UsageError("gave one number for a batch, and several for all", where=self._dotted)
        return Kept({"score": np.atleast_1d(given)})

    def _by_example(self, given: NDArray[np.float64], targets: NDArray[Any]) -> NDArray[np.float64]:
        """Raises:
        UsageError: it is no score for each example.
        """
        scores = given.reshape(1) if given.ndim == 0 and len(targets) == 1 else given
        if scores.ndim == 0:
            raise UsageError("gave a score for each example before, and one number now", where=self._dotted)
        if scores.shape != (len(targets),):
            raise UsageError(
                f"gave figures of shape {list(given.shape)}; return one number, or one for each of the {len(targets)} "
                "examples",
                where=self._dotted,
            )
        return scores

    def _all(self, what: str, batches: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Raises:
        UsageError: batches of several shapes are no one array.
        """
        try:
            # what is one number, such as a temperature, is one for each batch
            return np.concatenate([np.atleast_1d(each) for each in batches])
        except ValueError as error:
            shapes = list(dict.fromkeys(str(list(each.shape)) for each in batches))
            raise UsageError(
                f"is called once, and {what} of all batches are no one array: there are {' and '.join(shapes[:2])}",
                where=self._dotted,
                do="Return one score for each example, and it is called batch by batch.",
            ) from error

    def _asked(self, outputs: Outputs, targets: NDArray[Any]) -> NDArray[np.float64]:
        given = callables.call(self._function, dict(outputs), targets, name=self._dotted, root=self._root)
        try:
            if given is None:  # a forgotten `return`, which numpy would take for NaN
                raise TypeError
            return np.asarray(given, dtype=np.float64)
        except (ValueError, TypeError, RuntimeError) as error:
            raise UsageError(f"gave {type(given).__name__}, not numbers", where=self._dotted) from error


class Custom:
    keeper = _Keeper
    class_figure: ClassVar[str | None] = None

    def figures(self, task: TaskSettings, variant: str, own: Outcomes, baseline: Outcomes | None) -> Figures:
        scores, before = own.kept["score"], None if baseline is None else baseline.kept["score"]
        by_example = len(scores) == len(own)
        yield from _figures(task, variant, scores, before, len(own), "the test split")
        for name, members in groups(own):
            count = int(members.sum())
            if by_example:
                part = scores[members], None if before is None else before[members]
                found = _figures(task, variant, *part, count, "a slice of the test split")
            else:
                reason = f"`{task.metric}` gives one number for all examples; of a group, it takes one for each example"
                found = _lacking(variant, baseline is not None, reason)
            yield from (replace(figure, slice=name) for figure in found)

    def by_class(self, task: TaskSettings, outcomes: Outcomes) -> None:
        """What classes there are only the metric knows."""
        del task, outcomes

    def check(self, task: TaskSettings, outcomes: Outcomes) -> None:
        """The user's own metric knows what it can judge."""
        del task, outcomes


def _figures(
    task: TaskSettings,
    variant: str,
    scores: NDArray[np.float64],
    before: NDArray[np.float64] | None,
    examples: int,
    of: str,
) -> Figures:
    """Of scores of shape [examples], or of one over all; `before`: the baseline's."""
    value = float(scores.mean())
    if not np.isfinite(value):
        yield from _lacking(variant, before is not None, f"`{task.metric}` gave a figure that is not finite")
        return
    varies = len(scores) == examples > 1
    told = ", 95 % interval (normal)" if varies else ""
    interval = mean_difference(scores, CONFIDENCE) if varies else None
    yield Measurement("metric", variant, "number", value, interval, examples, f"`{task.metric}` on {of}{told}")
    if before is None:
        return
    if not np.isfinite(before).all():
        yield unavailable(Measurand("metric", "drop"), variant, "number", "the baseline has no such figure")
        return
    fall = (1.0 if task.better == "higher" else -1.0) * (before - scores)
    value, interval = float(fall.mean()), mean_difference(fall, CONFIDENCE) if varies else None
    method = f"paired on {of}{told}"
    yield Measurement("metric", variant, "number", value, interval, examples, method, BASELINE, comparison="drop")


def _lacking(variant: str, compared: bool, reason: str) -> Figures:
    yield unavailable(Measurand("metric"), variant, "number", reason)
    if compared:
        yield unavailable(Measurand("metric", "drop"), variant, "number", reason)
