"""What a module answers, and how its scores are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from makeweight.compress.examples import Batch, Examples, Tensors
from makeweight.measure.outcomes import kind_of
from makeweight.measure.tasks.readings import probable
from makeweight.measure.tasks.segmentation import Layout, layout_of
from makeweight.runtimes import environment
from makeweight.runtimes.inputs import call
from makeweight.runtimes.outputs import judged
from makeweight.runtimes.runtime import RecipeFailed
from makeweight.runtimes.traced import said, users_line
from makeweight_base.errors import UsageError

# The smallest probability whose logarithm is taken.
_LEAST = 1e-7

Reading = Callable[[Any], Any]
"""From a model's scores to logits: of a classification, shape [examples, classes]; of labels, [examples, labels]; of a
segmentation, [examples, classes, ...]. As they are where the task is none of these."""


def answers(module: Any, inputs: Tensors, output: str | None) -> Any:
    """A module's scores for some examples; the module is left in eval mode."""
    import torch

    module.eval()
    with torch.no_grad():
        return judged(call(module, inputs), output)


def first_answers(module: Any, inputs: Tensors, output: str | None, label: str) -> Any:
    """The same of a module that a step begins with: it was asked before, but for as many examples as its file takes.

    Raises:
        RecipeFailed: it fails, and with which line.
    """

    def fails(error: Exception) -> RecipeFailed:
        line = users_line(error)
        at = f" ({line})" if line else ""
        return RecipeFailed(
            f"{label}: the module fails on several examples at once{at}: {said(error)}; steps ask it "
            "for any number of them, so have forward() take that from the tensor, or export a program with "
            "`dynamic_shapes`"
        )

    with environment.translated(fails, UsageError):
        return answers(module, inputs, output)


def as_they_are(scores: Any) -> Any:
    """The reading of scores that are read in no way of their own."""
    return scores


def reading(baseline: Any, data: Examples, output: str | None) -> Reading:
    """How scores are read: as evaluation reads the baseline's (logits, probabilities, one number for two classes).

    Args:
        data: what the first examples are taken of, to see the baseline's scores.

    Raises:
        UsageError: the scores are none of the task.
        RecipeFailed: see `first_answers`.
    """
    if data.task.kind not in ("classification", "multilabel", "segmentation"):
        return as_they_are
    batch = next(data.in_order())
    some = first_answers(baseline, batch.inputs, output, "training")
    if data.task.kind == "segmentation":
        layout = layout_of(some.cpu().numpy(), tuple(batch.targets.shape[1:]), data.task)
        return _of_places(some, batch, layout or _told_by_others(baseline, data, output))
    if data.task.kind == "multilabel":
        return _of_labels(probable(some.double().cpu().numpy()))
    kind = kind_of(some.double().cpu().numpy())
    return _of_one_class(kind == "probability")


def _of_one_class(probabilities: bool) -> Reading:
    import torch
    from torch.nn import functional

    def logits(scores: Any) -> Any:
        scores = scores.reshape(len(scores), -1)
        if probabilities:
            scores = scores.clamp(_LEAST, 1 - _LEAST)
            return torch.cat([1 - scores, scores], dim=1).log() if scores.shape[1] == 1 else scores.log()
        # one number z stands for two classes, the second with probability sigmoid(z)
        return functional.pad(scores, (1, 0)) if scores.shape[1] == 1 else scores

    return logits


def _of_labels(probabilities: bool) -> Reading:
    import torch

    def logits(scores: Any) -> Any:
        scores = scores.reshape(len(scores), -1)
        return torch.logit(scores, eps=_LEAST) if probabilities else scores

    return logits


def _told_by_others(baseline: Any, data: Examples, output: str | None) -> Layout:
    """Where the classes are, of scores by whose first examples it is open: as evaluation has it, by the first of
    another size."""
    batches = data.in_order()
    square = next(batches).targets.shape[1:]
    for batch in batches:
        if (shape := batch.targets.shape[1:]) != square:
            some = first_answers(baseline, batch.inputs, output, "training")
            return layout_of(some.cpu().numpy(), tuple(shape), data.task) or "first"
    return "first"


def _of_places(some: Any, batch: Batch, layout: Layout) -> Reading:
    """What the scores are is told by the first examples."""
    import torch

    values, shape = some.cpu().numpy(), tuple(batch.targets.shape[1:])
    if layout == "classes":
        raise UsageError(
            "the model answers with classes, not with scores, and nothing can be learnt from those",
            where="makeweight.yaml: model.output",
            do="Name the output that holds the scores, or give the step a `train: module:callable(module, training)`.",
        )
    classes_last = np.moveaxis(values, 1, -1) if layout == "first" else values
    rows = classes_last.reshape(-1, 1 if layout == "two" else classes_last.shape[-1])
    probabilities, many = kind_of(rows) == "probability", values.ndim > batch.targets.ndim
    axis = 1 if values.shape[1:] == (1, *shape) else -1

    def of_two(scores: Any) -> Any:
        scores = scores.squeeze(axis) if many else scores
        if not probabilities:
            return torch.stack([torch.zeros_like(scores), scores], dim=1)
        scores = scores.clamp(_LEAST, 1 - _LEAST)
        return torch.stack([1 - scores, scores], dim=1).log()

    def of_many(scores: Any) -> Any:
        scores = scores.movedim(-1, 1) if layout == "last" else scores
        return scores.clamp(_LEAST, 1).log() if probabilities else scores

    return of_two if layout == "two" else of_many
