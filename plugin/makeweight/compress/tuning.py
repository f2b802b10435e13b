"""Training as a step asks for it: from its options and what it was handed to a run of the loop."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from dataclasses import asdict, replace
from itertools import chain
from typing import Any, Protocol

from makeweight.compress import accelerator
from makeweight.compress.examples import Batch, Examples
from makeweight.compress.features import followed
from makeweight.compress.handed_over import hand_over
from makeweight.compress.losses import Loss, distilled, from_teacher, loss_of
from makeweight.compress.scores import Reading, answers, as_they_are, reading
from makeweight.compress.subject import Left, Substitute
from makeweight.compress.teachers import answered, refuse_unfit, teacher_of
from makeweight.compress.technique import Given
from makeweight.compress.training import Trained, judge_of, train
from makeweight.compress.training_options import TrainingOptions
from makeweight.user.arrays import Arrays

# Examples that a teacher and the layers of a student are first seen on.
_SOME = 2
# Bytes of a teacher's answers that are held.
_HELD = 64 * 2**20


class Tuner(Protocol):
    """Trains a torch.nn.Module in place."""

    def __call__(self, module: Any, label: str, left: Collection[Left] = ()) -> Trained:
        """Raises:
        RecipeFailed: see `train` and `hand_over`.
        UsageError: the given loss fails, a target is no output of the model, or an example cannot be read.
        """


class InRounds:
    """The trainings of a step that trains after each of its rounds, if it trains at all."""

    def __init__(self, name: str, options: TrainingOptions, rounds: int, given: Given) -> None:
        """Args:
        name: the step's, for what is shown.
        """
        self._name, self._options, self._rounds, self._given = name, options, rounds, given
        self._train: Tuner | None = None
        self.told: list[dict[str, Any]] = []
        """What came of each, for the manifest."""

    def after(self, number: int, module: Any, left: Collection[Left]) -> None:
        """Train after a round, counted from 1.

        Raises:
            RecipeFailed, UsageError: see `tuner` and `Tuner`.
        """
        if not self._options.epochs:
            return
        self._train = self._train or tuner(self._options, self._given)
        label = f"{self._name}, round {number} of {self._rounds}" if self._rounds > 1 else self._name
        self.told.append(asdict(self._train(module, label, left)))


def tune(module: Any, options: TrainingOptions, given: Given, label: str, left: Collection[Left] = ()) -> Trained:
    """Train once; see `tuner`."""
    return tuner(options, given)(module, label, left)


def tuner(options: TrainingOptions, given: Given) -> Tuner:
    """Training on the train split; the best epoch on the validation split is kept, if the data have one. Where a
    callable of the user's trains, it decides what is kept. What does not depend on the module that is trained is found
    out once, whatever the number of trainings: how scores are read, and what a teacher answers.

    Raises:
        EnvironmentFailed: it is to be trained on what this machine has not.
        UsageError: the task has no loss of its own and none is given, the teacher cannot teach this model, or an
            example cannot be read.
    """
    device = accelerator.of(options)
    if device != accelerator.CPU:
        given.progress.say(f"trained on {accelerator.described(device)}")
    plain = Examples(given.splits["train"], given.task, given.ports, given.change, options.labels)
    data, held_out = replace(plain, on=device), given.splits.get("validation")
    validation = None
    if held_out is not None:
        validation = Examples(held_out, given.task, given.ports, labels=options.labels, on=device)
    teacher = teacher_of(options, given, device)
    if options.train is not None:

        def handed(module: Any, label: str, left: Collection[Left] = ()) -> Trained:
            with accelerator.placed(module, left, device):
                hand_over(module, data, validation, options, given, label, left, teacher)
            return Trained(options.epochs, options.epochs, None, None, on=accelerator.described(device))

        return handed
    classifies = given.task.kind == "classification"
    # the baseline stays in main memory, where all steps ask it
    read = read_as(options, plain, given)
    taught = read
    if teacher is not None and options.teacher != "baseline":
        theirs = answered(teacher, options.teacher, next(data.batches(_SOME)), given.output)
        taught = reading(teacher, data, given.output)
        ours = answers(given.baseline, next(plain.batches(_SOME)).inputs, given.output)
        refuse_unfit(options.teacher, taught(theirs), read(ours))

    def distance(examples: Examples) -> Loss:
        asked = _asked(teacher, examples, taught, given.output)
        return from_teacher(asked, read, given.task, options.temperature)

    labels = loss_of(options.loss, read, given.task, given.root) if options.labels else None
    if labels is None:
        loss = distance(data)
    else:
        # epochs are compared by the loss as it is
        smooth = options.label_smoothing
        loss = loss_of(None, read, given.task, given.root, smooth) if smooth else labels
        if teacher is not None:
            loss = distilled(loss, distance(data), options.teacher_weight)
    judge = None
    if validation is not None:
        by_class = read if classifies and options.labels else None
        judge = judge_of(validation, labels or distance(validation), by_class, given.output)
    else:
        why = given.absent.get("validation", "none was handed")
        stops = "" if options.patience is None else "training goes on to the end and "
        given.progress.say(f"no validation split, so {stops}the last epoch is kept ({why})")

    def trained(module: Any, label: str, left: Collection[Left] = ()) -> Trained:
        with contextlib.ExitStack() as lasting:
            lasting.enter_context(accelerator.placed(module, left, device))
            substitutes = [each for each in left if isinstance(each, Substitute)]
            beside = [*chain(*(lasting.enter_context(each.standing_in(module)) for each in substitutes))]
            whole = loss
            if options.hints or options.attention:
                some = next(data.batches(_SOME))
                whole, regressors = lasting.enter_context(followed(loss, module, teacher, options, some))
                beside += regressors
            return train(module, data, whole, judge, options, given, label, left, beside)

    return trained


def read_as(options: TrainingOptions, data: Examples, given: Given) -> Reading:
    """How scores are read. A loss of the user's takes them as they are; a teacher and the accuracy of a classifier ask
    all the same.

    Raises:
        UsageError: the scores are none of the task.
    """
    wanted = given.task.kind == "classification" or options.loss is None or options.teacher != "none"
    return reading(given.baseline, data, given.output) if wanted else as_they_are


def _asked(teacher: Any, data: Examples, read: Reading, output: str | None) -> Callable[[Batch], Any]:
    """The teacher's answers to a batch. Of whole arrays that nothing changes it is asked once, where there is room for
    its answers; else with each batch."""
    import torch

    def ask(batch: Batch) -> Any:
        return read(answers(teacher, batch.inputs, output))

    source = data.split.source
    if data.change is not None or not isinstance(source, Arrays):
        return ask
    if ask(next(data.batches(1))).nbytes * source.count > _HELD:
        return ask
    known = torch.cat([ask(batch) for batch in data.in_order()])
    return lambda batch: known[batch.indices]
