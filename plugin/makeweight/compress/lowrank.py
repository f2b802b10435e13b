"""Thinner layers in the place of those that say nearly the same at a lower rank: which layers, at which rank, and where
it pays; in a module and in a model file."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
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
from makeweight.compress.narrowing import layer_by_layer
from makeweight.compress.rounding import removed
from makeweight.compress.scores import answers
from makeweight.compress.subject import Subject
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
    called = _called(module, example)
    able, kept = _able(module, called, options)

    def put(name: str, factors: Sequence[Factor]) -> None:
        nonlocal module
        module = _put(module, name, in_a_row(able[name], factors))

    layers = {name: partial(as_layer, layer, called[layer]) for name, layer in able.items()}
    changed = _changed(layers, kept, options, given, put)
    module.eval()
    _refuse_broken(module, example, shape, given)
    changed.tell(before, given)
    return replace(subject, source=module)


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


def _changed(
    layers: Mapping[str, Callable[[], Layer]],
    kept: dict[str, str],
    options: FactorizeOptions,
    given: Given,
    put: Callable[[str, Sequence[Factor]], None],
) -> _Changed:
    """Put factors in place of layers, where that pays.

    Raises:
        RecipeFailed: it pays nowhere, or a rank is beyond a layer's.
    """
    changed = _Changed(kept)
    way: Convolutions = "spatial" if options.convolutions == "spatial" else "tucker"
    if options.rank is not None:
        _refuse_beyond({name: full_ranks(layer(), way) for name, layer in layers.items()}, options.rank)
    for name, found in given.progress.over(layers.items(), NAME, len(layers)):
        layer = found()
        full = list(full_ranks(layer, way))
        factors = factorization(layer, way)
        chosen = _ranks(factors, full, options, given)
        cut = factors.cut(chosen) if chosen != full else None
        if cut is None or not _pays(layer, cut):
            at = " and ".join(f"{rank} of {whole}" for rank, whole in zip(chosen, full, strict=True))
            kept[name] = f"at rank {at} it would be no smaller, or slower"
            continue
        put(name, cut.factors)
        changed.ranks[name], changed.errors[name] = [full, chosen], cut.error
        changed.fewer += layer.weight.size - cut.size
    if kept:
        given.progress.say(f"factorize: left as they are: {_told(kept)}")
    if not changed.ranks:
        raise RecipeFailed(f"factorize changed nothing: {_told(kept) or 'the model has no layer to factorize'}")
    return changed


def _able(module: Any, called: Mapping[Any, Sizes], options: FactorizeOptions) -> tuple[dict[str, Any], dict[str, str]]:
    """The layers that can be factorized, and why the others that have weights cannot."""
    weighted = {
        name: part
        for name, part in module.named_modules()
        if any(each.ndim > 1 for each in part.parameters(recurse=False))
    }
    left_alone = excluded(options.exclude, list(weighted), NAME)
    twins = {name: [other for other in group if other != name] for group in shared(module) for name in group}
    able: dict[str, Any] = {}
    kept: dict[str, str] = {}
    for name, part in weighted.items():
        if name in left_alone or (isinstance(part, convolutions()) and options.convolutions == "none"):
            continue
        others = twins.get(f"{name}.weight")
        reason = f"its weight is `{others[0]}` too" if others else _objection(part, called)
        if reason is None:
            able[name] = part
        else:
            kept[name] = reason
    return able, kept


def _objection(part: Any, called: Mapping[Any, Sizes]) -> str | None:
    """Why a layer cannot be factorized, if it cannot."""
    from torch import nn

    if type(part) not in kinds():
        return f"no factors are known of a {type(part).__name__}"
    if part._forward_pre_hooks or part._forward_hooks:
        return "hooks hang on it"
    if part not in called:
        return "its weight is read without the layer being called"
    if isinstance(part, nn.Embedding) and part.max_norm is not None:
        return "its vectors are scaled to `max_norm` when they are read"
    if not bool(part.weight.any()):
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


def _put(module: Any, name: str, layer: Any) -> Any:
    """The module with another layer of that name; that layer, where the module is itself the one."""
    if not name:
        return layer
    module.set_submodule(name, layer)
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
