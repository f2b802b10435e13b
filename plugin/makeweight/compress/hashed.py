"""Weights of a module that a hash of their place ties to few values, now and in all that is trained afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from makeweight.compress.deadend import changeable, refuse_not_finite
from makeweight.compress.parametrized import in_place_of_parametrized
from makeweight.compress.sharing import NAME, Ties, changed_nothing, parted, told_scaled
from makeweight.compress.subject import Subject
from makeweight.compress.technique import Given
from makeweight.runtimes.hashing import places, values_of
from makeweight.runtimes.layers import told_of
from makeweight.runtimes.runtime import RecipeFailed

if TYPE_CHECKING:
    from makeweight.compress.cluster import ClusterOptions

# Of fewer weights, computing the hash takes more of the file than they do.
_FEWEST = 512


def tie(subject: Subject, options: ClusterOptions, given: Given) -> Subject:
    """See `Cluster` and `Transformation.apply`. Values begin as the means of their weights, then scaled so that a layer
    has the norm that it had: means of weights that have nothing in common are small. Weights that do not learn stay as
    they are, since nothing would make up for that."""
    import torch

    module, part = subject.source, options.part or 1
    refuse_not_finite(module, NAME)
    in_place_of_parametrized(subject, NAME, given)
    weights, scaled = parted(module, changeable(module, options.exclude, NAME))
    indices, signs = dict[str, Any](), dict[str, Any]()
    few, frozen = list[str](), list[str]()
    for name, weight in weights.items():
        if weight.numel() < _FEWEST or not weight.is_floating_point():
            few.append(name)
            continue
        if not weight.requires_grad:
            frozen.append(name)
            continue
        found = places(weight.numel(), values_of(weight.numel(), part))
        indices[name], signs[name] = (torch.from_numpy(each).reshape(weight.shape) for each in found)
    if not indices and frozen:
        raise RecipeFailed(
            f"{NAME} changed nothing: what a hash ties has to be learned, and {told_of(frozen)} require no "
            "gradients; have them require these in `build`, or take `method: kmeans`"
        )
    if not indices:
        raise changed_nothing(f"has {_FEWEST} weights for a hash to tie", few, scaled)
    ties = Ties(indices, signs=signs)
    values = dict[str, list[int]]()
    with torch.no_grad():
        for name, clusters in ties.clusters.items():
            weight = weights[name]
            tied, norm = clusters.means(weight), weight.double().norm()
            now = clusters.spread(tied).norm()
            clusters.put(weight, tied * (norm / now if now else 1))
            values[name] = [values_of(weight.numel(), part), weight.numel()]
    ties.sum_gradients(module)
    if few:
        given.progress.say(f"{NAME}: too few weights for a hash, left as they are: {', '.join(few)}")
    if frozen:
        given.progress.say(f"{NAME}: not learning, so left as they are: {', '.join(frozen)}")
    given.progress.say(f"{NAME}: {len(indices)} weight tensors tied by a hash, to be learned by what trains next")
    given.notes[NAME] = {"values": values, "kept": [*few, *frozen]}
    told_scaled(scaled, given)
    return subject.leaving(NAME, ties)
