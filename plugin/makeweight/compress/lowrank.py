"""Layers of a lower rank put in a module, as far as asked and where it pays; the others named, with the reason."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from makeweight.compress.deadend import answer_of, excluded, left_out, refuse_not_finite, refuse_operators
from makeweight.compress.examples import Tensors, tensors
from makeweight.compress.factors import (
    Convolutions,
    Cut,
    Factorization,
    factored,
    factorization,
    full_ranks,
    rank_of,
)
from makeweight.compress.narrowing import layer_by_layer
from makeweight.compress.rounding import removed
from makeweight.compress.scores import answers
from makeweight.compress.subject import Subject
from makeweight.compress.technique import Given
from makeweight.runtimes.inputs import call
from makeweight.runtimes.runtime import RecipeFailed
from makeweight.user.weights import counted, shared

if TYPE_CHECKING:
    from makeweight.compress.factorize import FactorizeOptions

NAME = "factorize"


def lower(subject: Subject, options: FactorizeOptions, given: Given) -> Subject:
    """See `Factorize` and `Transformation.apply`."""
    module = subject.source
    refuse_operators(module, NAME)
    refuse_not_finite(module, NAME)
    example = tensors(given.ports, given.splits["calibration"].first(2).inputs)
    shape = answers(module, example, given.output).shape
    before = counted(module)
    fed = _fed(module, example)
    able, kept = _able(module, fed, options)
    way: Convolutions = "spatial" if options.convolutions == "spatial" else "tucker"
    if options.rank is not None:
        _refuse_beyond(able, options.rank, way)
    ranks: dict[str, list[list[int]]] = {}
    errors: dict[str, float] = {}
    for name, layer in given.progress.over(able.items(), NAME, len(able)):
        factors, full = factorization(layer, way), list(full_ranks(layer, way))
        chosen = _ranks(factors, full, options, given)
        cut = factors.cut(chosen) if chosen != full else None
        if cut is None or not _pays(layer, cut, fed[layer]):
            at = " and ".join(f"{rank} of {whole}" for rank, whole in zip(chosen, full, strict=True))
            kept[name] = f"at rank {at} it would be no smaller, or slower"
            continue
        module = _put(module, name, factored(layer, cut))
        ranks[name], errors[name] = [full, chosen], cut.error
    if kept:
        given.progress.say(f"factorize: left as they are: {_told(kept)}")
    if not ranks:
        raise RecipeFailed(f"factorize changed nothing: {_told(kept) or 'the module has no layer to factorize'}")
    module.eval()
    _refuse_broken(module, example, shape, given)
    left = counted(module)
    given.progress.say(
        f"factorize: {len(ranks)} layer{'s' if len(ranks) > 1 else ''} of a lower rank, "
        f"{before:,} -> {left:,} parameters"
    )
    given.notes[NAME] = {"parameters": [before, left], "ranks": ranks, "errors": errors, "kept": kept}
    return replace(subject, source=module)


def _able(module: Any, fed: Mapping[Any, Any], options: FactorizeOptions) -> tuple[dict[str, Any], dict[str, str]]:
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
        if name in left_alone or (_is_convolution(part) and options.convolutions == "none"):
            continue
        others = twins.get(f"{name}.weight")
        reason = f"its weight is `{others[0]}` too" if others else _objection(part, fed)
        if reason is None:
            able[name] = part
        else:
            kept[name] = reason
    return able, kept


def _objection(part: Any, fed: Mapping[Any, Any]) -> str | None:
    """Why a layer cannot be factorized, if it cannot."""
    from torch import nn

    if type(part) not in (nn.Linear, nn.Embedding, nn.Conv2d):
        return f"no factors are known of a {type(part).__name__}"
    if part._forward_pre_hooks or part._forward_hooks:
        return "hooks hang on it"
    if part not in fed:
        return "its weight is read without the layer being called"
    if _is_convolution(part) and part.groups != 1:
        return f"its channels are in {part.groups} groups"
    if isinstance(part, nn.Embedding) and part.max_norm is not None:
        return "its vectors are scaled to `max_norm` when they are read"
    if not bool(part.weight.any()):
        return "all its weights are zero"
    return None


def _is_convolution(part: Any) -> bool:
    from torch import nn

    return isinstance(part, nn.Conv2d)


def _fed(module: Any, example: Tensors) -> dict[Any, Any]:
    """What each layer is first called with; layers that are never called are not there."""
    import torch

    fed: dict[Any, Any] = {}

    def note(layer: Any, given: Any) -> None:
        if given:
            fed.setdefault(layer, given[0])

    hooks = [part.register_forward_pre_hook(note) for part in module.modules()]
    try:
        with torch.no_grad(), layer_by_layer():
            call(module, example)
    finally:
        for hook in hooks:
            hook.remove()
    return fed


def _refuse_beyond(able: Mapping[str, Any], rank: int, way: Convolutions) -> None:
    full = {name: max(full_ranks(layer, way)) for name, layer in able.items()}
    beyond = {name: most for name, most in full.items() if rank > most}
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


def _pays(layer: Any, cut: Cut, fed: Any) -> bool:
    """Whether it becomes smaller, and multiplies no more; of a table of vectors, which multiplies nothing, the bytes
    alone count."""
    from torch import nn

    if sum(each.weight.numel() for each in cut.layers) >= layer.weight.numel():
        return False
    return isinstance(layer, nn.Embedding) or _multiplications(cut.layers, fed) <= _multiplications([layer], fed)


def _multiplications(layers: Sequence[Any], fed: Any) -> int:
    """Of linear layers and convolutions in a row."""
    import torch

    count = 0
    with torch.no_grad():
        for layer in layers:
            fed = layer(fed.to(layer.weight.dtype))
            count += fed.numel() // layer.weight.shape[0] * layer.weight.numel()
    return count


def _put(module: Any, name: str, layer: Any) -> Any:
    """The module with another layer of that name; that layer, where the module is itself the one."""
    parent, _, last = name.rpartition(".")
    if not last:
        return layer
    setattr(module.get_submodule(parent), last, layer)
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
    by_reason: dict[str, list[str]] = {}
    for name, reason in kept.items():
        by_reason.setdefault(reason, []).append(f"`{name}`")
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in by_reason.items())
