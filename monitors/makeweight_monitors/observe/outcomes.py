"""What a label says of an earlier answer: right, wrong, or how far off; counted for the arm that gave it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import numpy as np

from makeweight_monitors.observe.arm import Arm, Arms, Shape
from makeweight_monitors.observe.counters import Counters
from makeweight_monitors.observe.failure import FAILED
from makeweight_monitors.observe.labelfile import PAIR, LabelResult, Owner, Taken
from makeweight_monitors.observe.pending import LONGEST_ID, Pending, identity

BOTH = "\x1f"
"""Between the two answers of a pair, in the label store."""
AGAIN = "\x1e"
"""Behind an answer there: its unit stands in the tests by another one."""
Refuse = Callable[[Owner | None, str, int, str], None]
"""Count what is refused: whose it is, one of metrics.REJECTIONS, how many, and what it was."""


@dataclass
class Outcomes:
    """Counts the labels of one model."""

    counters: Counters
    arms: Arms
    shape: Shape
    edges: Sequence[float]
    """Inner edges of the bins of the absolute error."""
    tolerance: float | None
    """How far off a number may be and still be right."""
    refuse: Refuse

    def __post_init__(self) -> None:
        self._slices = {name: index for index, name in enumerate(self.shape.slices)}

    def label_many(
        self, store: Pending | None, ids: list[Any], truths: list[Any], slices: list[str | None]
    ) -> list[LabelResult]:
        """Match labels with what waits for them, and count what each of them says.

        Raises:
            ValueError: the lists are of different lengths.
        """
        if not len(ids) == len(truths) == len(slices):
            raise ValueError(f"{len(ids)} ids, {len(truths)} truths and {len(slices)} slices")
        results: list[LabelResult] = ["rejected"] * len(ids)
        checked = [(index, name, truth) for index, (name, truth) in enumerate(map(self._check, ids, truths)) if name]
        self.count_results([(self.arms.own, "rejected")] * (len(ids) - len(checked)))
        told = [(truth, slices[index]) for index, _, truth in checked]
        taken = [Taken("unknown")] * len(checked)
        if store is not None:
            taken = store.take([name for _, name, _ in checked], lambda late: self._count(told, late))
        for (index, *_), result in zip(checked, self._count(told, taken), strict=True):
            results[index] = result
        return results

    def _count(self, told: list[tuple[Any, str | None]], taken: list[Taken]) -> list[LabelResult]:
        """Count labels, each (truth, slice), by what they belong to; what became of each."""
        results: list[LabelResult] = []
        events: list[tuple[Arm, LabelResult]] = []
        for (truth, slice), one in zip(told, taken, strict=True):
            result = one.result
            arms = self.arms.of(one.owner) if one.owner else [self.arms.own]
            if one.result == "matched" and one.owner:
                group = self.slice(slice) or one.slice
                if not arms or not self._count_outcome(one.owner, arms, one.answer, truth, group):
                    result = "late" if not arms else "rejected"
            results.append(result)
            if result != "deferred":  # it will be counted once it is known
                events += [(arm, result) for arm in arms or [self.arms.own]]
        self.count_results(events)
        return results

    def _check(self, id: Any, truth: Any) -> tuple[str | None, Any]:
        """(id, truth) as they are compared; (None, None) where one cannot be."""
        name = identity(id)
        if name is None:
            self.refuse(None, "bad_id", 1, f"an id that is no text of 1 to {LONGEST_ID} characters")
            return None, None
        if self.shape.classes is not None:
            class_name = self.shape.classes.name(truth)
            if class_name is None:
                reason = "not_finite" if isinstance(truth, float) and not isfinite(truth) else "unknown_class"
                self.refuse(None, reason, 1, "a label that is no class of the model")
                return None, None
            return name, class_name
        try:
            numbers = np.asarray(truth, np.float64).reshape(-1).tolist()
        except (TypeError, ValueError):
            numbers = []
        if not numbers or not all(map(isfinite, numbers)):
            self.refuse(None, "not_finite", 1, "a label that is no number")
            return None, None
        return name, numbers

    def _count_outcome(self, owner: Owner, arms: list[Arm], answer: str, truth: Any, slice: str) -> bool:
        """Count right and wrong; False where the two cannot be compared."""
        counts = not answer.endswith(AGAIN)
        answer = answer.removesuffix(AGAIN)
        given = answer.split(BOTH) if owner.variant == PAIR else [answer]
        judged = self._judged(owner, given, truth)
        if judged is None:
            return False
        wrong, errors = judged
        row = 0 if self.shape.classes is None else self.shape.classes.row(truth)
        at = self._slices.get(slice)
        pair = self.arms.pair(owner) if owner.variant == PAIR else None
        with self.counters.lock:
            cells = self.counters.cells
            for arm, bad, off in zip(arms, wrong, errors, strict=True):
                if self.shape.outcomes:
                    cells[arm.labelled + bad] += 1
                    if self.shape.classes is not None:
                        cells[arm.labelled_class + 2 * row + bad] += 1
                    if at is not None:
                        cells[arm.slices + 2 * at + bad] += 1
                    if owner.weight and counts:
                        cells[arm.split + bad] += 1
                if self.shape.error_bins:
                    for error in off:
                        cells[arm.errors + bisect_right(self.edges, error)] += 1
            if pair is not None and self.shape.outcomes and counts:
                cells[pair.labelled + (not self.agree(*given))] += 1
                cell = 2 * wrong[0] + wrong[1]
                cells[pair.paired + cell] += 1
                if self.shape.classes is not None:
                    cells[pair.classes + 4 * row + cell] += 1
                if at is not None:
                    cells[pair.slices + 4 * at + cell] += 1
        return True

    def _judged(self, owner: Owner, given: list[str], truth: Any) -> tuple[list[int], list[list[float]]] | None:
        """Of each answer, whether it is wrong and how far off its numbers are; None: the label has another shape."""
        if self.shape.classes is not None:
            return [int(one == FAILED or one != truth) for one in given], [[] for _ in given]
        numbers = [None if one == FAILED else [float(part) for part in one.split(",")] for one in given]
        answered = [one for one in numbers if one is not None]
        if any(len(one) != len(truth) for one in answered):
            self.refuse(owner, "bad_shape", 1, f"a label of {len(truth)} numbers for {len(answered[0])}")
            return None
        errors = [[] if one is None else [abs(a - b) for a, b in zip(one, truth, strict=True)] for one in numbers]
        most = inf if self.tolerance is None else self.tolerance
        return [int(not off or max(off) > most) for off in errors], errors

    def count_results(self, events: Iterable[tuple[Arm, LabelResult]]) -> None:
        """Count what became of labels, each for the arm it was about."""
        with self.counters.lock:
            for arm, result in events:
                self.counters.cells[arm.events[result]] += 1

    def agree(self, stable: str, canary: str) -> bool:
        """Whether two answers, as the label store keeps them, are the same; numbers, within the tolerance.

        Two that failed are: both are wrong.
        """
        if self.shape.classes is not None or FAILED in (stable, canary):
            return stable == canary
        both = zip(stable.split(","), canary.split(","), strict=True)
        return max(abs(float(a) - float(b)) for a, b in both) <= (self.tolerance or 0)

    def slice(self, name: object) -> str:
        """A declared one as it is, else nothing; one that is not declared is refused."""
        if name is None:
            return ""
        if name not in self._slices:
            self.refuse(None, "unknown_slice", 1, f"slice `{str(name)[:80]}` is not declared")
            return ""
        return str(name)
