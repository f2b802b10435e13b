"""Weights of a module that are zero, now and in all that is trained afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from makeweight.compress.deadend import excluded, refuse_not_finite
from makeweight.compress.movement import Movement
from makeweight.compress.sparsity import FOUR, scheduled, smallest, two_of_four
from makeweight.compress.subject import Subject
from makeweight.compress.technique import Given
from makeweight.compress.tuning import tuner
from makeweight.runtimes.layers import told_of
from makeweight.runtimes.runtime import RecipeFailed

if TYPE_CHECKING:
    from makeweight.compress.sparsify import SparsifyOptions

NAME = "sparsify"
_GAIN = (
    "zeros are stored and multiplied like any number: the file is smaller once it is compressed, inference no faster"
)


class Masks:
    """Which weights are zero."""

    def __init__(self, zeros: Mapping[str, Any]) -> None:
        """Args:
        zeros: by parameter, where it is zero; torch.bool, of the parameter's shape.
        """
        self.zeros = zeros

    def after_step(self, module: Any) -> None:
        """Make them zero again."""
        import torch

        with torch.no_grad():
            for name, zeros in self.zeros.items():
                module.get_parameter(name).masked_fill_(zeros, 0)


def mask(subject: Subject, options: SparsifyOptions, given: Given) -> Subject:
    """See `Sparsify` and `Transformation.apply`."""
    module = subject.source
    refuse_not_finite(module, NAME)
    weights, kept = _weights(module, options)
    if kept:
        given.progress.say(
            f"sparsify: not a multiple of {FOUR} in what the layer sums over, left as they are: {', '.join(kept)}"
        )
    masks, train, rounds = Masks({}), None, []
    movement = Movement(module, weights) if options.importance == "movement" else None
    for number in range(1, options.rounds + 1):
        masks = Masks(_zeros(module, weights, options, number, movement, masks))
        masks.after_step(module)
        if options.epochs:
            train = train or tuner(options, given)
            label = f"{NAME}, round {number} of {options.rounds}" if options.rounds > 1 else NAME
            left = [*subject.left.values(), masks, *([movement] if movement else [])]
            rounds.append(asdict(train(module, label, left)))
    if movement:
        movement.end()
    counts = {name: [int(zeros.sum()), zeros.numel()] for name, zeros in masks.zeros.items()}
    none, all_of_them = (sum(each) for each in zip(*counts.values(), strict=True))
    given.progress.say(f"sparsify: {none:,} of {all_of_them:,} weights are zero; {_GAIN}")
    given.notes[NAME] = {"gain": _GAIN, "zeros": counts, "kept": kept, "rounds": rounds}
    return subject.leaving(NAME, masks)


def _weights(module: Any, options: SparsifyOptions) -> tuple[dict[str, int], list[str]]:
    """The weights that may become zero, each with the axis that its layer sums over; and those that cannot."""
    found = {name: weight for name, weight in module.named_parameters() if weight.ndim > 1}
    layers = {name: name.rpartition(".")[0] for name in found}
    left_alone = set(excluded(options.exclude, list(layers.values()), NAME))
    weights, kept = dict[str, int](), list[str]()
    for name, weight in found.items():
        if layers[name] in left_alone or not weight.is_floating_point():
            continue
        axis = 0 if getattr(module.get_submodule(layers[name]), "transposed", False) else 1
        if options.structure == "2:4" and weight.shape[axis] % FOUR:
            kept.append(name)
        else:
            weights[name] = axis
    if not weights:
        raise RecipeFailed(
            f"sparsify changed nothing: no layer sums over a multiple of {FOUR} ({told_of(kept)})"
            if kept
            else "sparsify changed nothing: the module has no layer with weights that is not excluded"
        )
    return weights, kept


def _zeros(
    module: Any,
    weights: Mapping[str, int],
    options: SparsifyOptions,
    number: int,
    movement: Movement | None,
    masks: Masks,
) -> dict[str, Any]:
    """Where each weight becomes zero in a round.

    Args:
        movement: how trainings have moved weights since the first round, in which none becomes zero; None: magnitudes
            decide.
        masks: of the round before.
    """
    import torch

    if movement is not None:
        scores, step = movement.scores(masks.zeros), (number - 1, options.rounds - 1)
    else:
        scores = {name: module.get_parameter(name).detach().float().abs().numpy() for name in weights}
        step = number, options.rounds
    if options.sparsity is None:
        found = {name: two_of_four(array, weights[name]) for name, array in scores.items()}
    else:
        found = smallest(scores, scheduled(options.sparsity, *step), options.scope == "global")
    if bare := [name for name, zeros in found.items() if zeros.all()]:
        raise RecipeFailed(
            f"sparsify: no weight would be left in {told_of(bare)}; lower `sparsity`"
            f"{', take `scope: uniform`' if options.scope == 'global' else ''} or name the layer in `exclude`"
        )
    return {name: torch.from_numpy(zeros) for name, zeros in found.items()}
