"""Weights of a module that share few values, now and in all that is trained afterwards."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from makeweight.compress import masking
from makeweight.compress.deadend import excluded, refuse_not_finite
from makeweight.compress.kmeans import means, nearest
from makeweight.compress.masking import Masks
from makeweight.compress.subject import Subject
from makeweight.compress.technique import Given
from makeweight.runtimes.runtime import RecipeFailed

if TYPE_CHECKING:
    from makeweight.compress.cluster import ClusterOptions

NAME = "cluster"
# Weights of each cluster that are looked at after a step.
_SEEN = 64


class Ties:
    """Which weights share a value. A step of the optimizer moves them together: the gradient of each is the sum over
    its cluster."""

    def __init__(self, indices: Mapping[str, Any], masked: Collection[str] = ()) -> None:
        """Args:
        indices: by parameter, the cluster of each weight; torch.int64, of the parameter's shape.
        masked: the parameters whose first cluster stays at zero.
        """
        self.clusters = {name: _Clusters(each) for name, each in indices.items()}
        self._masked = frozenset(masked)
        self._learning: dict[str, Any] = {}

    @contextmanager
    def standing_in(self, module: Any) -> Iterator[list[Any]]:
        """As long as this lasts, it is the values of clusters that learn, and weights take theirs after each step: the
        optimizer has as many numbers to move as there are values, and moves them as it would the weights."""
        import torch

        self._learning = {
            name: torch.nn.Parameter(clusters.values(module.get_parameter(name)))
            for name, clusters in self.clusters.items()
        }
        hooks = [self._gather(module.get_parameter(name), name) for name in self.clusters]
        try:
            yield [*self._learning.values()]
        finally:
            self._learning = {}
            for hook in hooks:
                hook.remove()

    def _gather(self, weight: Any, name: str) -> Any:
        def gather(weight: Any) -> None:
            gradient = self.clusters[name].summed(weight.grad)
            if name in self._masked:
                gradient[0] = 0
            self._learning[name].grad, weight.grad = gradient, None

        return weight.register_post_accumulate_grad_hook(gather)

    def after_step(self, module: Any) -> None:
        """Give each cluster one value, the mean, where a training of the user's moved its weights apart. While the
        module trains, a few weights of each cluster tell whether any did; else, all."""
        for name, clusters in self.clusters.items():
            weight = module.get_parameter(name)
            if (values := self._learning.get(name)) is not None:
                clusters.put(weight, values)
            elif not module.training or clusters.apart(weight):
                clusters.tie(weight)

    def sum_gradients(self, module: Any) -> None:
        """Hang on each parameter that its gradients are summed by cluster, by whatever they are trained."""
        for name in self.clusters:
            module.get_parameter(name).register_hook(partial(self._summed, name))

    def _summed(self, name: str, gradient: Any) -> Any:
        clusters = self.clusters[name]
        return gradient if name in self._learning else clusters.spread(clusters.summed(gradient))


class _Clusters:
    """Of one parameter. Its weights are many, and this is asked with every step."""

    def __init__(self, indices: Any) -> None:
        import torch

        self._shape, self._flat = indices.shape, indices.flatten()
        self._counts = torch.bincount(self._flat)
        # of each cluster, one weight
        self._one = torch.zeros_like(self._counts).scatter_(0, self._flat, torch.arange(len(self._flat)))
        # and of each up to so many, evenly spread
        order, starts = torch.argsort(self._flat, stable=True), self._counts.cumsum(0) - self._counts
        steps = torch.arange(_SEEN) * self._counts[:, None] // _SEEN
        self._some = order[(starts[:, None] + steps).flatten()]

    def summed(self, values: Any) -> Any:
        """By cluster, shape [clusters]."""
        import torch

        sums = torch.zeros(len(self._counts), dtype=values.dtype)
        return sums.index_add_(0, self._flat, values.flatten())

    def spread(self, values: Any) -> Any:
        """To each weight what its cluster has."""
        return values.index_select(0, self._flat).reshape(self._shape)

    def apart(self, weight: Any) -> bool:
        """Whether some of those that share a value have different ones."""
        flat = weight.detach().flatten()
        return bool((flat[self._some].reshape(-1, _SEEN) != flat[self._one][:, None]).any())

    def values(self, weight: Any) -> Any:
        """By cluster, shape [clusters]."""
        return weight.detach().flatten()[self._one]

    def put(self, weight: Any, values: Any) -> None:
        """Give each weight what its cluster has."""
        import torch

        with torch.no_grad():
            weight.copy_(self.spread(values))

    def tie(self, weight: Any) -> None:
        import torch

        with torch.no_grad():
            if not torch.equal(weight, self.spread(self.values(weight))):
                self.put(weight, self.summed(weight.double()) / self._counts)


def share(subject: Subject, options: ClusterOptions, given: Given) -> Subject:
    """See `Cluster` and `Transformation.apply`."""
    import torch

    module = subject.source
    refuse_not_finite(module, NAME)
    weights = {name: weight for name, weight in module.named_parameters() if weight.ndim > 1}
    layers = [name.rpartition(".")[0] for name in weights]
    left_alone = set(excluded(options.exclude, layers, NAME))
    size = 2**options.bits
    masks = subject.left.get(masking.NAME)
    zeros = masks.zeros if isinstance(masks, Masks) else {}
    indices, values, errors, kept = dict[str, Any](), dict[str, int](), dict[str, float](), list[str]()
    for name, weight in given.progress.over(weights.items(), NAME, len(weights)):
        if name.rpartition(".")[0] in left_alone:
            continue
        if weight.numel() <= 2 * size or not weight.is_floating_point():
            kept.append(name)
            continue
        plain = weight.detach().double().numpy()
        table, clusters = _clustered(plain, size, zeros.get(name))
        shared = table[clusters]
        with torch.no_grad():
            weight.copy_(torch.from_numpy(shared))
        weight.requires_grad_(True)
        indices[name], values[name] = torch.from_numpy(clusters), len(table)
        norm = float((plain**2).sum()) ** 0.5
        errors[name] = float(((plain - shared) ** 2).sum()) ** 0.5 / norm if norm else 0.0
    if kept:
        given.progress.say(f"cluster: too few weights for {size} values to pay, left as they are: {', '.join(kept)}")
    if not indices:
        raise RecipeFailed(f"cluster changed nothing: no layer has more than {2 * size} weights; lower `bits`")
    ties = Ties(indices, zeros.keys() & indices.keys())
    ties.sum_gradients(module)
    given.progress.say(f"cluster: {len(indices)} weight tensors of at most {size} values")
    given.notes[NAME] = {"values": values, "errors": errors, "kept": kept}
    return subject.leaving(NAME, ties)


def _clustered(plain: Any, size: int, zeros: Any) -> tuple[Any, Any]:
    """The values of a weight, and which of them each of its elements has. Where zeros have to stay, zero is a value of
    theirs alone."""
    if zeros is None:
        table = means(plain.ravel(), size)
        return table, nearest(plain, table)
    zeros = zeros.numpy()
    table = means(plain[~zeros], size - 1)
    return np.concatenate([[0.0], table]), np.where(zeros, 0, 1 + nearest(plain, table))
