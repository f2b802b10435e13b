"""Training as a step asks for it: from its options and what it was handed to a run of the loop."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from makeweight.compress.examples import examples
from makeweight.compress.losses import distilled, from_teacher, loss_of
from makeweight.compress.scores import answers, check_classes, reading
from makeweight.compress.subject import Left
from makeweight.compress.technique import Given, Needs
from makeweight.compress.training import Trained, TrainingOptions, judge_of, train

# The baseline is needed even without a teacher: its scores tell how the student's are read.
NEEDS = Needs(splits=("train",), wishes=("validation",), baseline=True)


def tune(module: Any, options: TrainingOptions, given: Given, label: str, left: Collection[Left] = ()) -> Trained:
    """Train on the train split; the best epoch on the validation split is kept, if the data have one.

    Raises:
        RecipeFailed: see `train`.
        UsageError: the task has no loss of its own and none is given, the given one fails, or a target is no
            output of the model.
    """
    data, classifies = examples(given.splits["train"], given.task), given.task.kind == "classification"
    read = reading(given.baseline, data.inputs, given.task, given.output)
    labels = loss = loss_of(options.loss, read, given.task, given.root)
    if classifies:
        check_classes(module, data, read, given.output)
    if options.teacher == "baseline":
        taught = read(answers(given.baseline, data.inputs, given.output))
        distance = from_teacher(taught, read, options.temperature if classifies else None)
        loss = distilled(labels, distance, options.teacher_weight)
    judge = None
    if "validation" in given.splits:
        validation = examples(given.splits["validation"], given.task)
        judge = judge_of(validation, labels, read if classifies else None, given.output)
    else:
        why = given.absent.get("validation", "none was handed")
        given.progress.say(f"no validation split, so the last epoch is kept ({why})")
    return train(module, data, loss, judge, options, given, label, left)
