"""The weights of a module that thinner layers could stand for: which they are, why others are not, and the module with
such layers in their places."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from makeweight.compress.deadend import excluded
from makeweight.compress.examples import Tensors
from makeweight.compress.narrowing import layer_by_layer
from makeweight.compress.recurrent import STATES, in_layers, inputs_of, recurrences, states_of
from makeweight.compress.recurrent import as_layer as as_layer_of
from makeweight.compress.thin import as_layer, convolutions, in_a_row, kinds
from makeweight.runtimes.inputs import call
from makeweight.runtimes.weights import Factor, Layer
from makeweight.user.weights import shared

NAME = "factorize"
Sizes = tuple[Sequence[int], Sequence[int]]


@dataclass(frozen=True)
class Place:
    """A weight that thinner layers could stand for."""

    name: str
    """As recipes and notes call it: a layer, or one of a recurrence's weights."""
    module: str
    """The name of the one that it is of."""
    number: int
    """Of the place, among those of that module."""
    parameters: tuple[str, ...]
    layer: Callable[[], Layer]
    made: Callable[[Mapping[int, Sequence[Factor]]], Any]
    """What is put in that module's place, of the factors that its places have, by number."""


def places_in(
    module: Any, example: Tensors, exclude: Sequence[str], convolutional: bool
) -> tuple[dict[str, Place], dict[str, str]]:
    """The weights that can be factorized, and why the others cannot.

    Args:
        exclude: layers that are left alone, as a recipe names them.
        convolutional: whether convolutions are factorized.
    """
    called = _called(module, example)
    weighted = {
        name: part
        for name, part in module.named_modules()
        if any(each.ndim > 1 for each in part.parameters(recurse=False))
    }
    found = {name: _places_of(name, part, called) for name, part in weighted.items()}
    left_alone = excluded(exclude, [place.name for places in found.values() for place in places], NAME)
    twins = {name: [other for other in group if other != name] for group in shared(module) for name in group}
    able: dict[str, Place] = {}
    kept: dict[str, str] = {}
    for name, part in weighted.items():
        places = [place for place in found[name] if place.name not in left_alone]
        if isinstance(part, convolutions()) and not convolutional:
            continue
        for place in places:
            others = next((twins[each] for each in place.parameters if each in twins), None)
            reason = f"its weight is `{others[0]}` too" if others else _objection(part, place, called)
            if reason is None:
                able[place.name] = place
            else:
                # what is the model's own has no layer's name
                own = [each for each, weight in part.named_parameters(recurse=False) if weight.ndim > 1]
                kept[place.name or ", ".join(own)] = reason
        if type(part) in recurrences() and any(place.name in able for place in places):
            kept |= dict.fromkeys(states_of(part, name), STATES)
    return able, kept


def _places_of(name: str, part: Any, called: Mapping[Any, Sizes | None]) -> list[Place]:
    """Of a recurrence, one for each of its layers."""
    if type(part) in recurrences():
        return [
            Place(told, name, number, parameters, partial(as_layer_of, part, number), partial(in_layers, part))
            for number, told, parameters in inputs_of(part, name)
        ]
    parameters = (f"{name}.weight".lstrip("."),)
    return [
        Place(
            name,
            name,
            0,
            parameters,
            lambda: as_layer(part, called[part] or ((), ())),
            lambda factors: in_a_row(part, factors[0]),
        )
    ]


def _objection(part: Any, place: Place, called: Mapping[Any, Sizes | None]) -> str | None:
    """Why a weight cannot be factorized, if it cannot."""
    from torch import nn

    if type(part) not in (*kinds(), *recurrences()):
        return f"no factors are known of a {type(part).__name__}"
    if part._forward_pre_hooks or part._forward_hooks:
        return "hooks hang on it"
    if part not in called:
        return "its weight is read without the layer being called"
    if called[part] is None:
        return "it is called with more than its input"
    if isinstance(part, nn.Embedding) and part.max_norm is not None:
        return "its vectors are scaled to `max_norm` when they are read"
    if not any(bool(part.get_parameter(each.rpartition(".")[2]).any()) for each in place.parameters):
        return "all its weights are zero"
    return None


def _called(module: Any, example: Tensors) -> dict[Any, Sizes | None]:
    """The layers that are called: of a convolution, the sizes of what it is given and gives, along its kernel; None of
    one that is given more than layers in a row can be (the size that a transposed convolution is to answer in)."""
    import torch

    called: dict[Any, Sizes | None] = {}

    def note(layer: Any, given: Any, by_name: Any, gives: Any) -> None:
        given = (*given, *by_name.values())
        if type(layer) in kinds() and len(given) > 1:
            called[layer] = None
        elif type(layer) in convolutions():
            rank = layer.weight.ndim - 2
            called.setdefault(layer, (given[0].shape[-rank:], gives.shape[-rank:]))
        elif given:
            called.setdefault(layer, ((), ()))

    hooks = [part.register_forward_hook(note, with_kwargs=True) for part in module.modules()]
    try:
        with torch.no_grad(), layer_by_layer():
            call(module, example)
    finally:
        for hook in hooks:
            hook.remove()
    return called


def with_factors(module: Any, places: Mapping[str, Place], factors: Mapping[str, Sequence[Factor]]) -> Any:
    """The module with thinner layers in place of those that have factors; these layers, where the module is itself the
    one. Of what has several places all are put at once."""
    by_module: dict[str, list[str]] = {}
    for name in factors:
        by_module.setdefault(places[name].module, []).append(name)
    for owner, names in by_module.items():
        made = places[names[0]].made({places[name].number: factors[name] for name in names})
        if not owner:
            return made
        module.set_submodule(owner, made)
    return module
