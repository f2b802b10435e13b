"""How much worse a model is than the one it was made from, by the task's own figure on a whole split."""

from __future__ import annotations

from makeweight.artifact.model import Model
from makeweight.budget.metric import of_role
from makeweight.compress.trial import NeverAnswers
from makeweight.measure import quality
from makeweight.measure.answers import answer
from makeweight.measure.patient import ModelGivenUp
from makeweight.measure.tasks.table import refuse_unfit
from makeweight.runtimes.runtime import RecipeFailed, Runtime
from makeweight.user.declared import Declared
from makeweight.user.split import Split
from makeweight_base.progress import Silent


class WholeSplit:
    """The reference's answers to a split, which others are held against.

    Raises:
        UsageError: the split has no targets, or the answers do not fit the task.
        ModelGivenUp: the reference does not come to an end.
    """

    def __init__(self, declared: Declared, runtime: Runtime, reference: Model, split: Split) -> None:
        self._declared, self._runtime, self._split = declared, runtime, split
        self.metric = of_role("quality", declared.task.kind)[0]
        """What is held against the reference: the first that stands for a model's quality in this task."""
        self._before = answer(declared, runtime, reference, split, f"float32 on {split.name}", Silent())
        refuse_unfit(declared.task, self._before, split.name)

    def drop(self, model: Model) -> float:
        """How much of the figure is lost, as a fraction; less than nothing where it got better.

        Raises:
            RecipeFailed: the figure cannot be had of this split. `NeverAnswers`: the model does not come to an end.
        """
        label = f"integers on {self._split.name}"
        try:
            own = answer(self._declared, self._runtime, model, self._split, label, Silent(), self._before)
        except ModelGivenUp as failure:
            raise NeverAnswers(f"{failure.head}; in float32 it has answered all of the split here") from failure
        figures = quality.measure(self._declared.task, "integers", own, self._before)
        named = (self.metric.name, "drop", None)
        drop = next((each for each in figures if (each.metric, each.comparison, each.slice) == named), None)
        if drop is None or drop.value is None:
            reason = f"of `{self.metric.name}` there is a ratio" if drop is None else drop.reason
            raise RecipeFailed(f"quantize: `max_drop` cannot be held on the validation split: {reason}")
        return drop.value
