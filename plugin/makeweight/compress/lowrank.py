"""Thinner layers in the place of those that say nearly the same at a lower rank: which layers, at which rank, and where
it pays; in a module and in a model file."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from makeweight.compress.deadend import answer_of, excluded, left_out, refuse_not_finite, refuse_operators
from makeweight.compress.examples import Tensors, tensors
from makeweight.compress.factors import (
    Convolutions,
    Cut,
    Factorization,
    factorization,
    full_ranks,
    products,
    rank_of,
    whole,
)
from makeweight.compress.files import by_reason, left_alone_in, saved, weights_of
from makeweight.compress.multihead import exchange, write_out
from makeweight.compress.narrowing import layer_by_layer
from makeweight.compress.recurrent import STATES, in_layers, inputs_of, recurrences, states_of
from makeweight.compress.recurrent import as_layer as as_layer_of
from makeweight.compress.rounding import removed
from makeweight.compress.scores import answers
from makeweight.compress.subject import Subject
from makeweight.compress.target import Latency
from makeweight.compress.technique import Given
from makeweight.compress.thin import as_layer, convolutions, in_a_row, kinds
from makeweight.runtimes.inputs import call
from makeweight.runtimes.runtime import RecipeFailed
from makeweight.runtimes.weights import Factor, Layer, Weights
from makeweight.user.weights import counted, shared
from makeweight_base.errors import UsageError

if TYPE_CHECKING:
    from makeweight.compress.factorize import FactorizeOptions

NAME = "factorize"
Sizes = tuple[Sequence[int], Sequence[int]]


def lower(subject: Subject, options: FactorizeOptions, given: Given) -> Subject:
    """See `Factorize` and `Transformation.apply`; of a module."""
    module = subject.source
    refuse_operators(module, NAME)
    refuse_not_finite(module, NAME)
    if "calibration" in given.absent:
        raise UsageError(given.absent["calibration"])
    example = tensors(given.ports, given.splits["calibration"].first(2).inputs)
    shape = answers(module, example, given.output).shape
    before = counted(module)
    attentions = _attentions(module)
    stay = write_out(module, example) if attentions else {}
    written = {name: module.get_submodule(name) for name in attentions if name not in stay}
    places, kept = _places(module, _called(module, example), options)
    kept |= {name: reason for name, reason in stay.items() if name in kept}
    layers = {name: place.layer for name, place in places.items()}
    known: dict[str, Factorization] | None = None
    latency = None
    if options.latency is not None and layers:
        latency, known = Latency(options.latency, given, NAME, lambda gone: 1 - gone), {}
        given.notes[NAME] = {"latency": latency.note}
        options = _fast_enough(latency, layers, places, options, subject, given, known)
    factors: dict[str, Sequence[Factor]] = {}
    changed = _changed(layers, kept, options, given, factors.__setitem__, known)
    module = _with(module, places, factors)
    # attention that kept all its layers had better be what exporters know
    left_whole = [name for name in written if not any(each.startswith(f"{name}.") for each in factors)]
    exchange(module, {written[name]: attentions[name] for name in left_whole})
    module.eval()
    _refuse_broken(module, example, shape, given)
    changed.tell(before, given)
    if latency is not None:
        given.notes[NAME]["latency"] = latency.note
    return replace(subject, source=module)


def _fast_enough(
    latency: Latency,
    layers: Mapping[str, Callable[[], Layer]],
    places: Mapping[str, _Place],
    options: FactorizeOptions,
    subject: Subject,
    given: Given,
    known: dict[str, Factorization],
) -> FactorizeOptions:
    """With the largest ratio of the ranks by which the latency is reached."""

    def at(gone: float) -> FactorizeOptions:
        return options.model_copy(update={"ratio": 1 - gone, "latency": None})

    def thinner(gone: float) -> Any:
        cuts = {each.name: each.cut.factors for each in _cuts(layers, at(gone), given, known) if each.cut is not None}
        return _with(copy.deepcopy(subject.source), places, cuts)

    return at(latency.ratio(thinner, subject, "rank"))


def _attentions(module: Any) -> dict[str, Any]:
    """PyTorch's own attention, whose weights are factorized once it is written out in layers."""
    from torch import nn

    return {name: part for name, part in module.named_modules() if isinstance(part, nn.MultiheadAttention)}


def lower_file(subject: Subject, options: FactorizeOptions, given: Given) -> Subject:
    """The same of a model file."""
    weights = weights_of(subject, given)
    left_alone = left_alone_in(weights, options.exclude, NAME)
    kept, layers = dict(weights.kept), dict[str, Callable[[], Layer]]()
    before = sum(math.prod(each.shape) for each in weights.stored.values())
    for name in [each for each in weights.layers if each not in left_alone]:
        layer = weights.layer(name)
        if isinstance(layer, str):
            kept[name] = layer
        elif not np.isfinite(layer.weight).all():
            raise RecipeFailed(f"{NAME}: the weight of `{name}` holds NaN or infinity; train or export the model anew")
        elif options.convolutions != "none" or layer.weight.ndim == 3:
            layers[name] = partial(_again, weights, name)
    _changed(layers, kept, options, given, weights.put).tell(before, given)
    return saved(subject, weights, given, NAME)


def _again(weights: Weights, name: str) -> Layer:
    layer = weights.layer(name)
    if isinstance(layer, str):
        raise RecipeFailed(f"{NAME}: `{name}`: {layer}")
    return layer


@dataclass
class _Changed:
    """What became of the layers."""

    kept: dict[str, str]
    """Why those that stay as they are do, by layer."""
    ranks: dict[str, list[list[int]]] = field(default_factory=dict)
    """Of the others, the full ranks and those that they have."""
    errors: dict[str, float] = field(default_factory=dict)
    fewer: int = 0
    """How many weights there are less."""

    def tell(self, before: int, given: Given) -> None:
        """Args:
        before: how many weights there were.
        """
        left = before - self.fewer
        given.progress.say(
            f"factorize: {len(self.ranks)} layer{'s' if len(self.ranks) > 1 else ''} of a lower rank, "
            f"{before:,} -> {left:,} parameters"
        )
        given.notes[NAME] = {
            "parameters": [before, left],
            "ranks": self.ranks,
            "errors": self.errors,
            "kept": self.kept,
        }


@dataclass(frozen=True)
class _Tried:
    """A layer at the ranks that are asked for."""

    name: str
    weights: int
    full: list[int]
    chosen: list[int]
    cut: Cut | None
    """None: it would not pay."""


def _cuts(
    layers: Mapping[str, Callable[[], Layer]],
    options: FactorizeOptions,
    given: Given,
    known: dict[str, Factorization] | None,
) -> Iterator[_Tried]:
    """Args:
    known: keeps the factors of every layer, where they are asked for more than once.
    """
    way: Convolutions = "spatial" if options.convolutions == "spatial" else "tucker"
    for name, found in layers.items():
        layer = found()
        full = list(full_ranks(layer, way))
        factors = (known or {}).get(name) or factorization(layer, way)
        if known is not None:
            known[name] = factors
        chosen = _ranks(factors, full, options, given)
        cut = factors.cut(chosen) if chosen != full else None
        pays = cut is not None and _pays(layer, cut)
        yield _Tried(name, layer.weight.size, full, chosen, cut if pays else None)


def _changed(
    layers: Mapping[str, Callable[[], Layer]],
    kept: dict[str, str],
    options: FactorizeOptions,
    given: Given,
    put: Callable[[str, Sequence[Factor]], None],
    known: dict[str, Factorization] | None = None,
) -> _Changed:
    """Put factors in place of layers, where that pays.

    Raises:
        RecipeFailed: it pays nowhere, or a rank is beyond a layer's.
    """
    changed = _Changed(kept)
    if options.rank is not None:
        way: Convolutions = "spatial" if options.convolutions == "spatial" else "tucker"
        _refuse_beyond({name: full_ranks(layer(), way) for name, layer in layers.items()}, options.rank)
    for each in given.progress.over(_cuts(layers, options, given, known), NAME, len(layers)):
        if each.cut is None:
            at = " and ".join(f"{rank} of {whole}" for rank, whole in zip(each.chosen, each.full, strict=True))
            kept[each.name] = f"at rank {at} it would be no smaller, or slower"
            continue
        put(each.name, each.cut.factors)
        changed.ranks[each.name], changed.errors[each.name] = [each.full, each.chosen], each.cut.error
        changed.fewer += each.weights - each.cut.size
    if kept:
        given.progress.say(f"factorize: left as they are: {_told(kept)}")
    if not changed.ranks:
        raise RecipeFailed(f"factorize changed nothing: {_told(kept) or 'the model has no layer to factorize'}")
    return changed


@dataclass(frozen=True)
class _Place:
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


def _places(
    module: Any, called: Mapping[Any, Sizes], options: FactorizeOptions
) -> tuple[dict[str, _Place], dict[str, str]]:
    """The weights that can be factorized, and why the others cannot."""
    weighted = {
        name: part
        for name, part in module.named_modules()
        if any(each.ndim > 1 for each in part.parameters(recurse=False))
    }
    found = {name: _places_of(name, part, called) for name, part in weighted.items()}
    left_alone = excluded(options.exclude, [place.name for places in found.values() for place in places], NAME)
    twins = {name: [other for other in group if other != name] for group in shared(module) for name in group}
    able: dict[str, _Place] = {}
    kept: dict[str, str] = {}
    for name, part in weighted.items():
        places = [place for place in found[name] if place.name not in left_alone]
        if isinstance(part, convolutions()) and options.convolutions == "none":
            continue
        for place in places:
            others = next((twins[each] for each in place.parameters if each in twins), None)
            reason = f"its weight is `{others[0]}` too" if others else _objection(part, place, called)
            if reason is None:
                able[place.name] = place
            else:
                kept[place.name] = reason
        if type(part) in recurrences() and any(place.name in able for place in places):
            kept |= dict.fromkeys(states_of(part, name), STATES)
    return able, kept


def _places_of(name: str, part: Any, called: Mapping[Any, Sizes]) -> list[_Place]:
    """Of a recurrence, one for each of its layers."""
    if type(part) in recurrences():
        return [
            _Place(told, name, number, parameters, partial(as_layer_of, part, number), partial(in_layers, part))
            for number, told, parameters in inputs_of(part, name)
        ]
    parameters = (f"{name}.weight".lstrip("."),)
    return [
        _Place(
            name,
            name,
            0,
            parameters,
            lambda: as_layer(part, called[part]),
            lambda factors: in_a_row(part, factors[0]),
        )
    ]


def _objection(part: Any, place: _Place, called: Mapping[Any, Sizes]) -> str | None:
    """Why a weight cannot be factorized, if it cannot."""
    from torch import nn

    if type(part) not in (*kinds(), *recurrences()):
        return f"no factors are known of a {type(part).__name__}"
    if part._forward_pre_hooks or part._forward_hooks:
        return "hooks hang on it"
    if part not in called:
        return "its weight is read without the layer being called"
    if isinstance(part, nn.Embedding) and part.max_norm is not None:
        return "its vectors are scaled to `max_norm` when they are read"
    if not any(bool(part.get_parameter(each.rpartition(".")[2]).any()) for each in place.parameters):
        return "all its weights are zero"
    return None


def _called(module: Any, example: Tensors) -> dict[Any, Sizes]:
    """The layers that are called: of a convolution, the sizes of what it is given and gives, along its kernel."""
    import torch

    called: dict[Any, Sizes] = {}

    def note(layer: Any, given: Any, gives: Any) -> None:
        if given and type(layer) in convolutions():
            rank = layer.weight.ndim - 2
            called.setdefault(layer, (given[0].shape[-rank:], gives.shape[-rank:]))
        elif given:
            called.setdefault(layer, ((), ()))

    hooks = [part.register_forward_hook(note) for part in module.modules()]
    try:
        with torch.no_grad(), layer_by_layer():
            call(module, example)
    finally:
        for hook in hooks:
            hook.remove()
    return called


def _refuse_beyond(full: Mapping[str, Sequence[int]], rank: int) -> None:
    beyond = {name: max(ranks) for name, ranks in full.items() if rank > max(ranks)}
    if beyond:
        listed = ", ".join(f"`{name}` ({most})" for name, most in beyond.items())
        raise RecipeFailed(f"factorize: rank {rank} is beyond the full rank of {listed}{left_out(list(beyond))}")


def _ranks(factors: Factorization, full: Sequence[int], options: FactorizeOptions, given: Given) -> list[int]:
    """The ranks to cut a layer's factors off at. What is cut in two ways loses half of what it may lose in each."""
    multiple = options.round_to or given.channel_multiple
    if options.rank is not None:
        return [min(options.rank, most) for most in full]
    if options.ratio is not None:
        return [most - removed(most * (1 - options.ratio), most, multiple) for most in full]
    energy = 1 - (1 - (options.energy or 0)) / len(full)
    least = [rank_of(spectrum, energy) for spectrum in factors.spectra]
    return [min(math.ceil(rank / multiple) * multiple, most) for rank, most in zip(least, full, strict=True)]


def _pays(layer: Layer, cut: Cut) -> bool:
    """Whether it becomes smaller, and multiplies no more; of a table of vectors, which multiplies nothing, the bytes
    alone count."""
    if cut.size >= layer.weight.size:
        return False
    return layer.table or products(layer, cut.factors) <= products(layer, [whole(layer)])


def _with(module: Any, places: Mapping[str, _Place], factors: Mapping[str, Sequence[Factor]]) -> Any:
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


def _refuse_broken(module: Any, example: Tensors, shape: Any, given: Given) -> None:
    import torch

    answer = answer_of(
        module,
        example,
        given.output,
        "factorize: the network",
        "name in `exclude` the layer that forward() reads more of than its answer",
    )
    if answer.shape != shape or not bool(torch.isfinite(answer).all()):
        raise RecipeFailed("factorize: the network's answers became NaN, infinity or of another shape")


def _told(kept: Mapping[str, str]) -> str:
    """Layers by the reason why they are kept."""
    named = {f"`{name}`": reason for name, reason in kept.items()}
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in by_reason(named).items())
