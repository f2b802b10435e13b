"""What a student learns of a teacher's insides: the answers of layers, or where on their inputs those look.

Hints: Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015, https://arxiv.org/abs/1412.6550. Attention:
Zagoruyko and Komodakis, "Paying More Attention to Attention", ICLR 2017, https://arxiv.org/abs/1612.03928.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from makeweight.compress.examples import Batch
from makeweight.compress.losses import Loss
from makeweight.compress.training_options import TrainingOptions
from makeweight.runtimes.inputs import call
from makeweight.runtimes.layers import unfit
from makeweight.runtimes.outputs import named
from makeweight.runtimes.runtime import RecipeFailed

Distance = Callable[[Any, Any], Any]
"""One number to make small, of what a layer of the student and one of the teacher answer to a batch."""


@contextmanager
def followed(
    loss: Loss, module: Any, teacher: Any, options: TrainingOptions, batch: Batch
) -> Iterator[tuple[Loss, list[Any]]]:
    """A loss with the distances of features added, and the parameters of the regressors, which learn with the student.
    What it hangs on the layers of both is gone afterwards.

    Args:
        loss: of the scores.
        batch: examples to see the shapes of features on.

    Raises:
        RecipeFailed: there is no such layer, it is not called, or the two answer with shapes that do not go together.
    """
    students = {*options.hints, *options.attention}
    teachers = {*options.hints.values(), *options.attention.values()}
    with _heard(module, students, "the student") as ours, _heard(teacher, teachers, "the teacher") as theirs:
        _run(module, batch)
        _run(teacher, batch)
        terms: list[tuple[float, str, str, Distance]] = []
        regressors: list[Any] = []
        for student, taught in options.hints.items():
            distance, more = _hint(_of(ours, student), _of(theirs, taught), student, taught)
            regressors += more
            terms.append((options.hint_weight / len(options.hints), student, taught, distance))
        for student, taught in options.attention.items():
            _refuse_other_places(_of(ours, student), _of(theirs, taught), student, taught)
            terms.append((options.attention_weight / len(options.attention), student, taught, _attention))

        def whole(scores: Any, batch: Batch) -> Any:
            theirs.clear()
            of_scores = loss(scores, batch)
            if not theirs:  # the loss has not asked the teacher, or knows its answers
                _run(teacher, batch)
            apart = (weight * distance(ours[one], _of(theirs, other)) for weight, one, other, distance in terms)
            return of_scores + sum(apart)

        yield whole, regressors


@contextmanager
def _heard(module: Any, names: Collection[str], who: str) -> Iterator[dict[str, Any]]:
    """What layers answered last, by name."""
    parts = dict(module.named_modules())
    heard: dict[str, Any] = {}

    def listen(name: str) -> Callable[..., None]:
        def note(_: Any, __: Any, answer: Any) -> None:
            heard[name] = next(iter(named(answer).values()))

        return note

    if unknown := [name for name in sorted(names) if name not in parts]:
        raise RecipeFailed(f"{who} has no such layer: {unfit(unknown[0], [name for name in parts if name])}")
    hooks = [parts[name].register_forward_hook(listen(name)) for name in sorted(names)]
    try:
        yield heard
    finally:
        for hook in hooks:
            hook.remove()


def _run(module: Any, batch: Batch) -> None:
    import torch

    with torch.no_grad():
        call(module.eval(), batch.inputs)


def _of(heard: dict[str, Any], name: str) -> Any:
    if name not in heard:
        raise RecipeFailed(f"the layer `{name}` is not called, so that nothing can be learnt of it")
    return heard[name]


def _hint(student: Any, teacher: Any, name: str, taught: str) -> tuple[Distance, list[Any]]:
    """The mean squared difference; where widths differ, after a linear map of the student's channels."""
    from torch import nn
    from torch.nn import functional

    if student.shape == teacher.shape:
        return functional.mse_loss, []
    axes = range(1, student.ndim) if student.ndim == teacher.ndim else ()
    differing = [axis for axis in axes if student.shape[axis] != teacher.shape[axis]]
    if len(differing) != 1:
        raise _unlike(student, teacher, name, taught, "in more than their channels")
    (axis,) = differing
    regressor = nn.Linear(student.shape[axis], teacher.shape[axis]).to(student.device)

    def distance(ours: Any, theirs: Any) -> Any:
        return functional.mse_loss(regressor(ours.movedim(axis, -1)), theirs.movedim(axis, -1))

    return distance, list(regressor.parameters())


def _attention(student: Any, teacher: Any) -> Any:
    return (_looked_at(student) - _looked_at(teacher)).square().sum(1).mean()


def _looked_at(values: Any) -> Any:
    """How much of a layer's answer stands at each place, as a vector of length 1 for each example."""
    from torch.nn import functional

    # channels stand second in pictures, and last in sequences
    return functional.normalize(values.square().mean(1 if values.ndim > 3 else -1).flatten(1), dim=1)


def _refuse_other_places(student: Any, teacher: Any, name: str, taught: str) -> None:
    if student.ndim < 3 or teacher.ndim < 3:
        raise RecipeFailed(f"attention: `{name if student.ndim < 3 else taught}` answers no places, but one vector")
    if _looked_at(student).shape != _looked_at(teacher).shape:
        raise _unlike(student, teacher, name, taught, "in their places")


def _unlike(student: Any, teacher: Any, name: str, taught: str, how: str) -> RecipeFailed:
    return RecipeFailed(
        f"`{name}` of the student answers {list(student.shape[1:])} for an example, `{taught}` of the teacher "
        f"{list(teacher.shape[1:])}: they differ {how}"
    )
