"""Thinner layers in the place of those that say nearly the same at a lower rank: at which rank, and where it pays; in a
module and in a model file."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from makeweight.compress.deadend import left_out, refuse_broken, refuse_not_finite, refuse_operators
from makeweight.compress.examples import tensors
from makeweight.compress.exchange import exchange
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
from makeweight.compress.multihead import write_out
from makeweight.compress.parametrized import in_place_of_parametrized
from makeweight.compress.places import NAME, Place, places_in, with_factors
from makeweight.compress.rounding import removed
from makeweight.compress.scores import first_answers
from makeweight.compress.subject import Subject
from makeweight.compress.target import Latency
from makeweight.compress.technique import Given
from makeweight.runtimes.runtime import RecipeFailed
from makeweight.runtimes.weights import Factor, Layer, Weights
from makeweight.user.weights import counted
from makeweight_base.errors import UsageError

if TYPE_CHECKING:
    from makeweight.compress.factorize import FactorizeOptions


def lower(subject: Subject, options: FactorizeOptions, given: Given) -> Subject:
    """See `Factorize` and `Transformation.apply`; of a module."""
    module = subject.source
    refuse_operators(module, NAME)
    refuse_not_finite(module, NAME)
    if "calibration" in given.absent:
        raise UsageError(given.absent["calibration"])
    example = tensors(given.ports, given.splits["calibration"].first(2).inputs)
    scores = first_answers(module, example, given.output, NAME)
    before = counted(module)
    in_place_of_parametrized(subject, NAME, given)
    attentions = _attentions(module)
    stay = write_out(module, example) if attentions else {}
    written = {name: module.get_submodule(name) for name in attentions if name not in stay}
    places, kept = places_in(module, example, options.exclude, options.convolutions != "none")
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
    module = with_factors(module, places, factors)
    # attention that kept all its layers had better be what exporters know
    left_whole = [name for name in written if not any(each.startswith(f"{name}.") for each in factors)]
    exchange(module, {written[name]: attentions[name] for name in left_whole})
    module.eval()
    way_out = "name in `exclude` the layer that forward() reads more of than its answer"
    refuse_broken(module, example, scores, given.output, f"{NAME}: the network", way_out)
    changed.tell(before, given)
    if latency is not None:
        given.notes[NAME]["latency"] = latency.note
    return replace(subject, source=module)


def _fast_enough(
    latency: Latency,
    layers: Mapping[str, Callable[[], Layer]],
    places: Mapping[str, Place],
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
        return with_factors(copy.deepcopy(subject.source), places, cuts)

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


def _told(kept: Mapping[str, str]) -> str:
    """Layers by the reason why they are kept."""
    named = {f"`{name}`": reason for name, reason in kept.items()}
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in by_reason(named).items())
