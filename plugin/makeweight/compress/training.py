"""The training loop that fine-tuning, pruning and the control share."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from makeweight.artifact.ports import Feeds
from makeweight.compress import technique
from makeweight.compress.technique import Context
from makeweight.config.settings import CallablePath
from makeweight.measure.outcomes import classify
from makeweight.runtimes.outputs import judged
from makeweight.user import callables
from makeweight.user.dataset import Dataset
from makeweight_base.errors import RecipeFailed, UsageError

# Examples at once where nothing is learnt, so that the number is of no consequence.
_LARGE = 256
# The smallest probability whose logarithm is taken.
_LEAST = 1e-7


class TrainingOptions(technique.Options):
    """How to train: AdamW, the learning rate falling to zero along a half cosine."""

    epochs: int = Field(3, ge=1, description="Passes through the train split.")
    lr: float = Field(1e-3, gt=0, description="Learning rate at the start.")
    batch: int = Field(32, ge=1, description="Examples in a step.")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's weight decay.")
    teacher: Literal["none", "baseline"] = Field(
        "none", description="`baseline` learns from the uncompressed model's outputs too (knowledge distillation)."
    )
    temperature: float = Field(4.0, gt=0, description="How far the teacher's and the student's scores are softened.")
    teacher_weight: float = Field(0.7, ge=0, le=1, description="The teacher's share of the loss.")
    loss: CallablePath | None = Field(
        None,
        description="module:callable(outputs, targets) -> a scalar tensor (default: cross entropy for classification, "
        "mean squared error for regression).",
    )


@dataclass(frozen=True)
class Trained:
    """What came of it, for the manifest."""

    epochs: int
    kept: int
    """The epoch whose weights were kept: the best on the validation split, else the last."""
    loss: float
    """Mean training loss of the last epoch."""
    validation: float | None
    """Of the kept epoch: accuracy for a classification, else the loss."""


Loss = Callable[[Any, Any], Any]
Reading = Callable[[Any], Any]
"""From a model's scores to logits, shape [examples, classes]; as they are where the task is no classification."""


def train(module: Any, options: TrainingOptions, context: Context, label: str) -> Trained:
    """Train a torch.nn.Module in place, and leave it in eval mode with the weights of its best epoch.

    The best epoch is the best on the validation split, if the data have one; the test split plays no part.

    Distillation is Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015
    (https://arxiv.org/abs/1503.02531): both softened by the temperature T, the gradient scaled back by T^2.

    Raises:
        RecipeFailed: the loss is no longer finite.
        UsageError: the task has no loss of its own and none is given, the given one fails, or a target is no
            output of the model.
    """
    import torch

    data = context.split("train")
    validation = _validation(context)
    inputs, targets = tensors(data.inputs), as_targets(data.targets, context)
    baseline = context.baseline()
    read = reading(baseline, inputs, context)
    loss_of = loss_function(options.loss, read, context)
    _check_classes(module, inputs, data, read, context)
    teacher = read(_answers(baseline, inputs, context)) if options.teacher == "baseline" else None
    optimizer = torch.optim.AdamW(module.parameters(), lr=options.lr, weight_decay=options.weight_decay)
    order = torch.Generator().manual_seed(context.seed)
    steps = options.epochs * len(_batches(torch.arange(len(data)), options.batch))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    best: tuple[tuple[float, ...], int, dict[str, Any]] | None = None
    mean = math.nan
    for epoch in context.progress.over(range(1, options.epochs + 1), label, options.epochs):
        module.train()
        total = seen = 0.0
        for indices in _batches(torch.randperm(len(data), generator=order), options.batch):
            scores = _forward(module, [values[indices] for values in inputs], label, context)
            loss = loss_of(scores, targets[indices])
            if teacher is not None:
                taught = _distillation(read(scores), teacher[indices], options.temperature, context)
                loss = (1 - options.teacher_weight) * loss + options.teacher_weight * taught
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(indices)
            seen += len(indices)
        mean = total / seen
        if not math.isfinite(mean):
            raise RecipeFailed(f"{label}: the loss became {mean} in epoch {epoch}; a smaller `lr` may help")
        module.eval()
        if validation is not None:
            quality = _quality(module, validation, loss_of, read, context)
            if best is None or quality > best[0]:
                best = (quality, epoch, copy.deepcopy(module.state_dict()))
    module.eval()
    if best is None:
        context.progress.say(f"{label}: {_count(options.epochs, 'epoch')}, loss {mean:.4f}")
        return Trained(options.epochs, options.epochs, mean, None)
    quality, kept, state = best
    module.load_state_dict(state)
    figure = quality[0] if context.task.kind == "classification" else -quality[0]
    told = f"accuracy {figure:.2%}" if context.task.kind == "classification" else f"loss {figure:.4g}"
    context.progress.say(
        f"{label}: {_count(options.epochs, 'epoch')}, loss {mean:.4f}; kept epoch {kept}, validation {told}"
    )
    return Trained(options.epochs, kept, mean, figure)


def reading(baseline: Any, inputs: tuple[Any, ...], context: Context) -> Reading:
    """How a classifier's scores are read: as evaluation reads the baseline's (logits, probabilities, one number).

    Raises:
        UsageError: the scores are none of a classifier.
    """
    import torch
    from torch.nn import functional

    if context.task.kind != "classification":
        return lambda scores: scores
    answers = _answers(baseline, tuple(values[:_LARGE] for values in inputs), context)
    kind = classify(answers.double().numpy())[3]

    def logits(scores: Any) -> Any:
        scores = scores.reshape(len(scores), -1)
        if kind == "probability":
            scores = scores.clamp(_LEAST, 1 - _LEAST)
            return torch.cat([1 - scores, scores], dim=1).log() if scores.shape[1] == 1 else scores.log()
        # one number z stands for two classes, the second with probability sigmoid(z)
        return functional.pad(scores, (1, 0)) if scores.shape[1] == 1 else scores

    return logits


def loss_function(declared: str | None, read: Reading, context: Context) -> Loss:
    """The declared loss, or the task's own.

    Raises:
        UsageError: a task of kind `custom` without a declared loss; when called, whatever the user's loss raises.
    """
    import torch
    from torch.nn import functional

    if declared is not None:
        own = callables.find(declared, context.root, where="makeweight.yaml: finetune.loss")

        def called(outputs: Any, targets: Any) -> Any:
            value = callables.call(own, outputs, targets, name=declared, root=context.root)
            if getattr(value, "ndim", None) != 0 or (torch.is_grad_enabled() and not value.requires_grad):
                raise UsageError(
                    "a loss is one number as a torch.Tensor that depends on the outputs",
                    where=declared,
                    do="Return a mean, such as ((outputs - targets) ** 2).mean().",
                )
            return value

        return called
    if context.task.kind == "classification":
        return lambda scores, targets: functional.cross_entropy(read(scores), targets)
    if context.task.kind == "regression":
        return _squared_error
    raise UsageError(
        f"a task of kind `{context.task.kind}` has no loss of its own to train with",
        where="makeweight.yaml: variants",
        do="Give the step a `loss: module:callable(outputs, targets)`.",
    )


def tensors(inputs: Mapping[str, NDArray[Any]] | Feeds) -> tuple[Any, ...]:
    """Arrays as tensors, in the order of the inputs; floating point in the precision of the weights (float32)."""
    import torch

    return tuple(
        torch.from_numpy(np.ascontiguousarray(values.astype(np.float32) if values.dtype.kind == "f" else values))
        for values in inputs.values()
    )


def as_targets(values: NDArray[Any], context: Context) -> Any:
    import torch

    if context.task.kind == "regression" or values.dtype == np.float64:
        values = values.astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(values))


def _squared_error(outputs: Any, targets: Any) -> Any:
    from torch.nn import functional

    if outputs.numel() != targets.numel():
        raise UsageError(
            f"the model gives shape {list(outputs.shape)} and the targets have {list(targets.shape)}",
            where="makeweight.yaml: data.load",
            do="Make the loader's targets fit the model's output.",
        )
    # [n, 1] against [n] would broadcast to [n, n], and learn nonsense
    return functional.mse_loss(outputs.reshape(targets.shape), targets)


def _distillation(student: Any, teacher: Any, temperature: float, context: Context) -> Any:
    from torch.nn import functional

    if context.task.kind != "classification":
        return functional.mse_loss(student, teacher)
    student = functional.log_softmax(student / temperature, dim=1)
    taught = functional.log_softmax(teacher / temperature, dim=1)
    return functional.kl_div(student, taught, reduction="batchmean", log_target=True) * temperature**2


def _batches(order: Any, size: int) -> list[Any]:
    """Indices by step. A single example left over is dropped: batch normalization cannot learn from one."""
    batches = list(order.split(size))
    return batches[:-1] if size > 1 and len(batches) > 1 and len(batches[-1]) == 1 else batches


def _forward(module: Any, inputs: list[Any], label: str, context: Context) -> Any:
    try:
        return judged(module(*inputs), context.output)
    except UsageError:
        raise
    except Exception as error:
        if "allocate memory" in str(error):
            raise MemoryError(str(error)) from error
        said = next(iter(str(error).splitlines()), "")
        raise RecipeFailed(f"{label}: the module fails in training: {type(error).__name__}: {said}") from error


def _answers(module: Any, inputs: tuple[Any, ...], context: Context) -> Any:
    """A module's scores for all examples."""
    import torch

    module.eval()
    count = len(inputs[0])
    with torch.no_grad():
        return torch.cat(
            [
                judged(module(*(values[start : start + _LARGE] for values in inputs)), context.output)
                for start in range(0, count, _LARGE)
            ]
        )


def _quality(module: Any, data: Dataset, loss_of: Loss, read: Reading, context: Context) -> tuple[float, ...]:
    """What is compared among epochs, the larger the better: accuracy, then loss."""
    import torch

    targets = as_targets(data.targets, context)
    with torch.no_grad():
        scores = _answers(module, tensors(data.inputs), context)
        loss = float(loss_of(scores, targets))
    if context.task.kind != "classification":
        return (-loss,)
    return float((read(scores).argmax(1) == targets).double().mean()), -loss


def _validation(context: Context) -> Dataset | None:
    try:
        return context.split("validation")
    except UsageError as error:
        context.progress.say(f"no validation split, so the last epoch is kept ({error.what})")
        return None


def _check_classes(module: Any, inputs: tuple[Any, ...], data: Dataset, read: Reading, context: Context) -> None:
    if context.task.kind != "classification":
        return
    classes = read(_answers(module, tuple(values[:2] for values in inputs), context)).shape[1]
    highest = int(data.targets.max())
    if highest >= classes:
        raise UsageError(
            f"the train split holds class {highest}, and the model has {classes} classes",
            where="makeweight.yaml: data.load",
            do="Class indices begin at 0; mend the loader, or build the model with enough outputs.",
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
