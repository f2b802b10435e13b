"""Weights that a module computes anew with every call: of a direction and a length (weight normalization), by their
largest singular value, masked, or whatever `torch.nn.utils.parametrize` hangs on a layer.

A technique changes what a layer multiplies with, and the next call would compute that again from what it left alone.
So what they come to at that moment takes their place, and is what learns from then on.
https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrize.remove_parametrizations.html
"""

from __future__ import annotations

from typing import Any

from makeweight.compress.subject import Subject
from makeweight.compress.technique import Given
from makeweight_base.quiet import quiet


def in_place_of_parametrized(subject: Subject, technique: str, given: Given) -> None:
    """Have a module keep such weights as they are, which changes none of its answers. Where a step before this one left
    something that is to be kept true of weights by their names, nothing is done."""
    if subject.left:
        return
    with quiet():
        found = _kept(subject.source.eval())
    if found:
        given.progress.say(
            f"{technique}: weights that were computed with every call are kept, and learn, as they are: "
            f"{', '.join(found)}"
        )


def _kept(module: Any) -> list[str]:
    """The names of the weights that were computed."""
    from torch import nn
    from torch.nn import utils
    from torch.nn.utils import parametrize, prune
    from torch.nn.utils.prune import BasePruningMethod
    from torch.nn.utils.spectral_norm import SpectralNorm
    from torch.nn.utils.weight_norm import WeightNorm

    found = []
    for name, part in list(module.named_modules()):
        owns = list(part.parametrizations) if parametrize.is_parametrized(part) else []
        computed = [(own, parametrize.remove_parametrizations) for own in owns]
        for hook in part._forward_pre_hooks.values():
            if isinstance(hook, WeightNorm):
                computed.append((hook.name, utils.remove_weight_norm))
            elif isinstance(hook, SpectralNorm):
                computed.append((hook.name, utils.remove_spectral_norm))
            elif isinstance(hook, BasePruningMethod):
                computed.append((hook._tensor_name, prune.remove))
        for own, take_away in computed:
            learnt = [(each, each.requires_grad) for other, each in part.named_parameters() if _is_of(own, other)]
            for each, _ in learnt:  # else what takes their place would be no parameter
                each.requires_grad_(True)
            take_away(part, own)
            for each, learns in learnt:
                each.requires_grad_(learns)
            if isinstance(kept := getattr(part, own), nn.Parameter):
                kept.requires_grad_(any(learns for _, learns in learnt))
            found.append(f"{name}.{own}".lstrip("."))
    return found


def _is_of(own: str, name: str) -> bool:
    """Whether a weight is computed from this parameter of its module."""
    return name.startswith((f"{own}_", f"parametrizations.{own}."))
