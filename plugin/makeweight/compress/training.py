"""The training loop that every technique shares."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from makeweight.compress import technique
from makeweight.compress.examples import Examples, Tensors
from makeweight.compress.losses import Loss
from makeweight.compress.optimizing import Averaged, Optimizer
from makeweight.compress.scores import Reading, answers
from makeweight.compress.subject import Left
from makeweight.compress.training_options import TrainingOptions
from makeweight.runtimes.inputs import call
from makeweight.runtimes.outputs import judged
from makeweight.runtimes.runtime import RecipeFailed
from makeweight_base.errors import UsageError, first_line


@dataclass(frozen=True)
class Quality:
    """How good a module is on the validation split: what is compared among epochs."""

    order: tuple[float, ...]
    """The larger the better."""
    figure: float
    words: str
    """The figure in words."""


Judge = Callable[[Any], Quality]


@dataclass(frozen=True)
class Trained:
    """What came of it, for the manifest."""

    epochs: int
    kept: int
    """The epoch whose weights were kept: the best on the validation split, else the last."""
    loss: float | None
    """Mean training loss of the last epoch; None where the user's own callable trained."""
    validation: float | None
    """Of the kept epoch: accuracy for a classification, else the loss."""
    ended: str | None = None
    """Why it ended before its time, with the best epoch until then; None: it did not."""


def train(
    module: Any,
    data: Examples,
    loss: Loss,
    judge: Judge | None,
    options: TrainingOptions,
    given: technique.Given,
    label: str,
    left: Collection[Left],
    beside: Collection[Any] = (),
) -> Trained:
    """Train a torch.nn.Module in place, and leave it in eval mode with the weights of its best epoch.

    Args:
        loss: what is minimised, of the scores for a batch.
        judge: of a module in eval mode, by which the best epoch is chosen; None: the last is kept.
        left: what is made true again after each step.
        beside: parameters of the loss, which learn too.

    Raises:
        RecipeFailed: the loss is no longer finite, and no epoch was judged before; or the module fails in training.
        UsageError: the loss raises one.
    """
    steps = options.epochs * data.split.steps(options.batch)
    optimizer = Optimizer([*module.parameters(), *beside], options, steps)
    averaged = None if options.ema is None else Averaged(module, options.ema)
    best: tuple[Quality, int, dict[str, Any]] | None = None
    mean, ran, ended = math.nan, 0, None
    for epoch in given.progress.over(range(1, options.epochs + 1), label, options.epochs):
        module.train()
        total = seen = 0.0
        for batch in data.epoch(options.batch, given.seed, epoch):
            value = loss(_forward(module, batch.inputs, given.output, label), batch)
            optimizer.step(value)
            for each in left:
                each.after_step(module)
            if averaged is not None:
                averaged.after_step()
            total += float(value.detach()) * len(batch.indices)
            seen += len(batch.indices)
        module.eval()
        reached = [total / seen]
        if judge is not None and math.isfinite(reached[0]):
            with contextlib.nullcontext() if averaged is None else averaged.put_in():
                quality = judge(module)
                reached += quality.order
                if all(map(math.isfinite, reached)) and (best is None or quality.order > best[0].order):
                    best = (quality, epoch, copy.deepcopy(module.state_dict()))
        if bad := [figure for figure in reached if not math.isfinite(figure)]:
            ended = f"the loss became {bad[0]} in epoch {epoch}; a smaller `lr` may help"
            if best is None:
                raise RecipeFailed(f"{label}: {ended}")
            break
        mean, ran = reached[0], epoch
        if options.patience is not None and best is not None and epoch - best[1] >= options.patience:
            ended = f"no better for {options.patience} epoch{'s' if options.patience > 1 else ''}"
            break
    told = f"{label}: {ran} epoch{'s' if ran > 1 else ''}, loss {mean:.4f}{f' ({ended})' if ended else ''}"
    if best is None:
        if averaged is not None:
            averaged.keep()
        given.progress.say(told)
        return Trained(ran, ran, mean, None)
    quality, kept, state = best
    module.load_state_dict(state)
    given.progress.say(f"{told}; kept epoch {kept}, validation {quality.words}")
    return Trained(ran, kept, mean, quality.figure, ended)


def judge_of(data: Examples, loss: Loss, read: Reading | None, output: str | None) -> Judge:
    """Epochs compared by their loss on `data`; those of a classifier, whose scores are read so, by accuracy first."""
    import torch

    def judge(module: Any) -> Quality:
        lost = right = seen = 0.0
        for batch in data.in_order():
            scores, count = answers(module, batch.inputs, output), len(batch.indices)
            with torch.no_grad():
                lost += float(loss(scores, batch)) * count
            if read is not None:
                right += float((read(scores).argmax(1) == batch.targets).sum())
            seen += count
        lost, right = lost / seen, right / seen
        if read is None:
            return Quality((-lost,), lost, f"loss {lost:.4g}")
        return Quality((right, -lost), right, f"accuracy {right:.2%}")

    return judge


def _forward(module: Any, inputs: Tensors, output: str | None, label: str) -> Any:
    try:
        return judged(call(module, inputs), output)
    except UsageError:
        raise
    except Exception as error:
        if "allocate memory" in str(error):
            raise MemoryError(str(error)) from error
        told = f"{type(error).__name__}: {first_line(error)}"
        raise RecipeFailed(f"{label}: the module fails in training: {told}") from error
