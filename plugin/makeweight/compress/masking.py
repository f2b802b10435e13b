"""Weights that are zero: of a module, now and in all that is trained afterwards, and of a model file."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from makeweight.compress.deadend import changeable, multiplying, refuse_not_finite
from makeweight.compress.files import finite, left_alone_in, noted, saved, weights_of
from makeweight.compress.movement import Movement
from makeweight.compress.parametrized import in_place_of_parametrized
from makeweight.compress.sparsity import FOUR, Scores, Zeros, scheduled, smallest, two_of_four
from makeweight.compress.subject import Subject
from makeweight.compress.technique import Given
from makeweight.compress.tuning import InRounds
from makeweight.runtimes.layers import told_of
from makeweight.runtimes.runtime import RecipeFailed
from makeweight.runtimes.weights import Stored

if TYPE_CHECKING:
    from makeweight.compress.sparsify import SparsifyOptions

NAME = "sparsify"
_GAIN = (
    "zeros are stored and multiplied like any number: the file is smaller once it is compressed, inference no faster"
)

Summed = tuple[int | None, int]
"""The axis along which a layer sums over its weight, None where that is not known, and how many neighbours along it are
of one sum."""


class Masks:
    """Which weights are zero."""

    def __init__(self, zeros: Mapping[str, Any]) -> None:
        """Args:
        zeros: by parameter, where it is zero; torch.bool, of the parameter's shape. Of a model file, whose weights
            nothing trains, numpy's.
        """
        self.zeros = zeros

    def to(self, device: str) -> None:
        self.zeros = {name: zeros.to(device) for name, zeros in self.zeros.items()}

    def after_step(self, module: Any) -> None:
        """Make them zero again."""
        import torch

        with torch.no_grad():
            for name, zeros in self.zeros.items():
                module.get_parameter(name).masked_fill_(zeros, 0)


def mask(subject: Subject, options: SparsifyOptions, given: Given) -> Subject:
    """See `Sparsify` and `Transformation.apply`; of a module."""
    import torch

    module = subject.source
    refuse_not_finite(module, NAME)
    in_place_of_parametrized(subject, NAME, given)
    found = _weights(module, options)
    frozen = _frozen(module, found) if options.importance == "movement" else []
    weights, kept = _able({name: each for name, each in found.items() if name not in frozen}, options, given)
    if frozen:
        given.progress.say(f"{NAME}: not learning, so that nothing moves them, left as they are: {', '.join(frozen)}")
    masks, trained = Masks({}), InRounds(NAME, options, options.rounds, given)
    movement = Movement(module, weights) if options.importance == "movement" else None
    for number in range(1, options.rounds + 1):
        if movement:  # none becomes zero in its first round
            scores, step = movement.scores(masks.zeros), (number - 1, options.rounds - 1)
        else:
            scores = {name: module.get_parameter(name).detach().float().abs().numpy() for name in weights}
            step = number, options.rounds
        zeros = _zeros(scores, weights, options, *step)
        masks = Masks({name: torch.from_numpy(each) for name, each in zeros.items()})
        masks.after_step(module)
        trained.after(number, module, [*subject.left.values(), masks, *([movement] if movement else [])])
    if movement:
        movement.end()
    counts = {name: [int(each.sum()), each.numel()] for name, each in masks.zeros.items()}
    _tell(counts, [*kept, *frozen], given, trained.told)
    return subject.leaving(NAME, masks)


def mask_file(subject: Subject, options: SparsifyOptions, given: Given) -> Subject:
    """The same of a model file, whose weights nothing trains."""
    weights = weights_of(subject, given)
    left_alone = left_alone_in(weights, options.exclude, NAME)
    able, kept = _able(
        {name: _summed(each) for name, each in weights.stored.items() if not left_alone & {*each.layers}},
        options,
        given,
    )
    values = {name: finite(weights, name, NAME) for name in able}
    zeros = _zeros({name: np.abs(each) for name, each in values.items()}, able, options, 1, 1)
    for name, each in zeros.items():
        weights.give(name, np.where(each, 0, values[name]))
    _tell({name: [int(each.sum()), each.size] for name, each in zeros.items()}, kept, given, [], weights.kept)
    return saved(subject, weights, given, NAME).leaving(NAME, Masks(zeros))


def _weights(module: Any, options: SparsifyOptions) -> dict[str, Summed]:
    """The weights of a module that are not excluded, and what their layers sum over."""
    import torch

    def summed(name: str, weight: Any) -> Summed:
        layer = module.get_submodule(name.rpartition(".")[0])
        # of the user's own, some lay their inputs first; what a program of operators keeps has no forward of its own
        if not isinstance(layer, multiplying() | torch.fx.GraphModule) and type(layer) is not torch.nn.Module:
            return None, 0
        if getattr(layer, "transposed", False):  # [inputs, outputs of a group, kernel]
            return 0, weight.shape[0] // layer.groups
        return 1, weight.shape[1]

    return {
        name: summed(name, weight)
        for name, weight in changeable(module, options.exclude, NAME).items()
        if weight.is_floating_point()
    }


def _frozen(module: Any, names: Collection[str]) -> list[str]:
    """The weights that do not learn.

    Raises:
        RecipeFailed: none does.
    """
    found = [name for name in names if not module.get_parameter(name).requires_grad]
    if found and len(found) == len(names):
        raise RecipeFailed(
            f"{NAME} changed nothing: {told_of(found)} require no gradients, so that training moves none of them; have "
            "them require these in `build`, or take `importance: magnitude`"
        )
    return found


def _summed(stored: Stored) -> Summed:
    if stored.summed is None:
        return None, 0
    return stored.summed, stored.together or stored.shape[stored.summed]


def _able(found: Mapping[str, Summed], options: SparsifyOptions, given: Given) -> tuple[dict[str, int], list[str]]:
    """The weights that may become zero, each with the axis that its layer sums over; and those that cannot."""
    weights, kept = dict[str, int](), list[str]()
    for name, (axis, together) in found.items():
        if options.structure == "2:4" and (axis is None or together % FOUR):
            kept.append(name)
        else:
            weights[name] = axis or 0
    if not weights:
        raise RecipeFailed(
            f"sparsify changed nothing: no layer is known to sum over a multiple of {FOUR} ({told_of(kept)})"
            if kept
            else "sparsify changed nothing: the model has no layer with weights that is not excluded"
        )
    if kept:
        given.progress.say(
            f"sparsify: the layer sums over no multiple of {FOUR}, or along which axis is not known; left as they are: "
            f"{', '.join(kept)}"
        )
    return weights, kept


def _zeros(
    scores: Mapping[str, Scores], axes: Mapping[str, int], options: SparsifyOptions, number: int, rounds: int
) -> dict[str, Zeros]:
    """Where each weight becomes zero in a round, counted from 1."""
    if options.sparsity is None:
        found = {name: two_of_four(array, axes[name]) for name, array in scores.items()}
    else:
        found = smallest(scores, scheduled(options.sparsity, number, rounds), options.scope == "global")
    if bare := [name for name, zeros in found.items() if zeros.all()]:
        raise RecipeFailed(
            f"sparsify: no weight would be left in {told_of(bare)}; lower `sparsity`"
            f"{', take `scope: uniform`' if options.scope == 'global' else ''} or name the layer in `exclude`"
        )
    return found


def _tell(
    counts: Mapping[str, list[int]],
    kept: Sequence[str],
    given: Given,
    rounds: Sequence[Any],
    unreached: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Args:
    counts: by weight, how many are zero and how many there are.
    unreached: why other layers of a file keep their weights.
    """
    none, all_of_them = (sum(each) for each in zip(*counts.values(), strict=True))
    given.progress.say(f"sparsify: {none:,} of {all_of_them:,} weights are zero; {_GAIN}")
    given.notes[NAME] = {"gain": _GAIN, "zeros": counts, "kept": kept, "rounds": rounds, **noted(unreached)}
