"""The training loop that every technique shares."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from makeweight.compress import accelerator, channels_last, memory, technique
from makeweight.compress.checkpoints import Checkpoints, Stateful
from makeweight.compress.curves import Curves
from makeweight.compress.examples import Batch, Examples, Tensors
from makeweight.compress.losses import Loss
from makeweight.compress.optimizing import Averaged, Optimizer
from makeweight.compress.precision import multiplying_in
from makeweight.compress.reproducible import Generators
from makeweight.compress.scores import Reading, answers
from makeweight.compress.subject import Left
from makeweight.compress.training_options import TrainingOptions
from makeweight.runtimes import environment
from makeweight.runtimes.inputs import call
from makeweight.runtimes.outputs import judged
from makeweight.runtimes.runtime import RecipeFailed
from makeweight.runtimes.traced import said
from makeweight.user.saved import some
from makeweight.user.weights import not_finite
from makeweight_base.errors import MakeweightError, UsageError

_LOSS = "training_loss"


@dataclass(frozen=True)
class Quality:
    """How good a module is on the validation split: what is compared among epochs."""

    order: tuple[float, ...]
    """The larger the better."""
    figure: float
    words: str
    """The figure in words."""
    quantity: str = "loss"
    """What the figure is."""


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
    on: str = accelerator.CPU
    """What it was computed on."""


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
        OutOfMemory: a step takes more than there is.
        UsageError: the loss raises one.
    """
    steps = options.epochs * data.split.steps(options.batch)
    parameters = [*module.parameters(), *beside]
    if not parameters:
        raise _nothing_learns(label)
    optimizer = Optimizer(parameters, options, steps)
    averaged = None if options.ema is None else Averaged(module, options.ema)
    reached = _Reached()
    parts = _changing(module, optimizer, averaged, reached, left, beside)
    on = accelerator.described(data.on)
    checkpoint = (given.checkpoints or Checkpoints()).next(data.split, module, options.model_dump(mode="json"), on)
    mixed = multiplying_in(options.precision, data.on, given.progress)
    show = (given.curves or Curves()).begin()

    def lost(batch: Batch) -> Any:
        scores = _forward(module, batch.inputs, given.output, label)
        with environment.translated(lambda error: _fails(label, error, "loss"), (MakeweightError, RecipeFailed)):
            return loss(scores, batch)

    module.eval()
    if checkpoint.restore(parts):
        given.progress.say(f"{label}: taken up again after epoch {reached.epochs} of {options.epochs}")
        show(reached.figures)
        checkpoint.tell(reached.figures)
    ahead = range(reached.epochs + 1, options.epochs + 1) if reached.ended is None else ()
    if ahead:
        if reached.channels_last is None:
            reached.channels_last = channels_last.suit(data, module.train(), options.batch, lost)
        data = replace(data, channels_last=reached.channels_last)
    for epoch in given.progress.over(ahead, label, len(ahead)):
        module.train()
        total = seen = 0.0
        with memory.enough(f"{label}: a step of {options.batch} examples", memory.of_batch(options.batch, data.on)):
            for batch in data.epoch(options.batch, given.seed, epoch):
                with mixed():
                    value = lost(batch)
                if not value.requires_grad:
                    raise _nothing_learns(label)
                with environment.translated(lambda error: _fails(label, error)):
                    optimizer.step(value)
                for each in left:
                    each.after_step(module)
                if averaged is not None:
                    averaged.after_step()
                total += float(value.detach()) * len(batch.indices)
                seen += len(batch.indices)
        module.eval()
        quality, found = None, [total / seen]
        if judge is not None and math.isfinite(found[0]):
            with contextlib.nullcontext() if averaged is None else averaged.put_in():
                with memory.enough(f"{label}: the validation split", memory.OF_ASKING):
                    quality = judge(module)
                found += quality.order
                if all(map(math.isfinite, found)):
                    reached.judge(quality, epoch, module)
        if bad := [figure for figure in found if not math.isfinite(figure)]:
            reached.ended = f"the loss became {bad[0]} in epoch {epoch}; a smaller `lr` may help"
            if reached.best is None:
                raise RecipeFailed(f"{label}: {reached.ended}")
        else:
            reached.add(found[0], quality, options.patience)
            show(reached.figures)
        checkpoint.keep(parts, reached.figures)
        if reached.ended is not None:
            break
    ran, mean, ended = reached.epochs, reached.figures[-1][_LOSS], reached.ended
    told = f"{label}: {ran} epoch{'s' if ran > 1 else ''}, loss {mean:.4f}{f' ({ended})' if ended else ''}"
    if reached.best is None:
        if averaged is not None:
            averaged.keep()
        if broken := not_finite(module):  # of an epoch whose last step broke it, the losses are finite
            raise RecipeFailed(f"{label}: training left NaN or infinity in {some(broken)}; a smaller `lr` may help")
        given.progress.say(told)
        return Trained(ran, ran, mean, None, on=on)
    best = reached.best
    module.load_state_dict(best.state)
    given.progress.say(f"{told}; kept epoch {best.epoch}, validation {best.quality.words}")
    return Trained(ran, best.epoch, mean, best.quality.figure, ended, on)


@dataclass(frozen=True)
class _Best:
    quality: Quality
    epoch: int
    state: Mapping[str, Any]
    """Of the module."""


class _Reached:
    """How far a training is."""

    def __init__(self) -> None:
        self.figures: list[dict[str, float]] = []
        """Of each epoch."""
        self.best: _Best | None = None
        self.ended: str | None = None
        """See `Trained.ended`."""
        self.channels_last: bool | None = None
        """How its pictures lie, as tried with the weights that it began with, so that one that is taken up again goes
        on in the same way, to the byte; None: not tried."""

    @property
    def epochs(self) -> int:
        return len(self.figures)

    def judge(self, quality: Quality, epoch: int, module: Any) -> None:
        if self.best is None or quality.order > self.best.quality.order:
            self.best = _Best(quality, epoch, copy.deepcopy(module.state_dict()))

    def add(self, loss: float, quality: Quality | None, patience: int | None) -> None:
        """One more epoch; after so many that are no better than the best it has ended."""
        judged_by = {} if quality is None else {f"validation_{quality.quantity}": quality.figure}
        self.figures.append({_LOSS: loss, **judged_by})
        if patience is not None and self.best is not None and self.epochs - self.best.epoch >= patience:
            self.ended = f"no better for {patience} epoch{'s' if patience > 1 else ''}"

    def state_dict(self) -> dict[str, Any]:
        best = None if self.best is None else {**vars(self.best), "quality": vars(self.best.quality)}
        return {"figures": self.figures, "best": best, "ended": self.ended, "channels_last": self.channels_last}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        best = state["best"]
        self.best = None if best is None else _Best(**{**best, "quality": Quality(**best["quality"])})
        self.figures, self.ended = state["figures"], state["ended"]
        self.channels_last = state.get("channels_last")  # not in what older versions kept


def _changing(
    module: Any,
    optimizer: Optimizer,
    averaged: Averaged | None,
    reached: _Reached,
    left: Collection[Left],
    beside: Collection[Any],
) -> dict[str, Stateful]:
    """All that another epoch depends on and that changes in training. Batches come in an order that seed and number of
    an epoch decide, so they leave nothing to be kept."""
    import torch

    parts: dict[str, Any] = {"module": module, "optimizer": optimizer, "reached": reached, "random": Generators()}
    if averaged is not None:
        parts["averaged"] = averaged
    if beside:
        parts["beside"] = torch.nn.ParameterList(beside)
    lefts = {f"left {number}": each for number, each in enumerate(left)}
    return parts | {name: each for name, each in lefts.items() if isinstance(each, Stateful)}


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
        return Quality((right, -lost), right, f"accuracy {right:.2%}", "accuracy")

    return judge


def _forward(module: Any, inputs: Tensors, output: str | None, label: str) -> Any:
    with environment.translated(lambda error: _fails(label, error), UsageError):
        return judged(call(module, inputs), output)


def _fails(label: str, error: Exception, what: str = "module") -> RecipeFailed:
    return RecipeFailed(f"{label}: the {what} fails in training: {said(error)}")


def _nothing_learns(label: str) -> RecipeFailed:
    return RecipeFailed(
        f"{label}: the loss depends on no parameter that requires gradients; have those that are to learn require them "
        "in `build`, and compute the scores with operations of torch"
    )
