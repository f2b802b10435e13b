"""Weights that share few values: of a module, now and in all that is trained afterwards, and of a model file."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from makeweight.compress import masking
from makeweight.compress.deadend import changeable, refuse_not_finite
from makeweight.compress.files import by_reason, finite, left_alone_in, noted, saved, weights_of
from makeweight.compress.gradients import whole
from makeweight.compress.kmeans import means, nearest
from makeweight.compress.masking import Masks
from makeweight.compress.parametrized import in_place_of_parametrized
from makeweight.compress.subject import Subject
from makeweight.compress.technique import Given
from makeweight.runtimes.layers import told_of
from makeweight.runtimes.runtime import RecipeFailed

if TYPE_CHECKING:
    from makeweight.compress.cluster import ClusterOptions

NAME = "cluster"
# Weights of each cluster that are looked at after a step.
_SEEN = 64


class Ties:
    """Which weights share a value. A step of the optimizer moves them together: the gradient of each is the sum over
    its cluster."""

    def __init__(
        self, indices: Mapping[str, Any], masked: Collection[str] = (), signs: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        """Args:
        indices: by parameter, the cluster of each weight; torch.int64, of the parameter's shape.
        masked: the parameters whose first cluster stays at zero.
        signs: by parameter, where a weight has the negative of its cluster's value: -1, and 1 elsewhere.
        """
        self.clusters = {name: _Clusters(each, signs.get(name)) for name, each in indices.items()}
        self._masked = frozenset(masked)
        self._learning: dict[str, Any] = {}

    def to(self, device: str) -> None:
        for clusters in self.clusters.values():
            clusters.to(device)

    @contextmanager
    def standing_in(self, module: Any) -> Iterator[list[Any]]:
        """As long as this lasts, it is the values of clusters that learn, and weights take theirs after each step: the
        optimizer has as many numbers to move as there are values, and moves them as it would the weights."""
        import torch

        self._learning = {
            name: torch.nn.Parameter(clusters.values(weight))
            for name, clusters in self.clusters.items()
            if (weight := module.get_parameter(name)).requires_grad
        }
        hooks = [self._gather(module.get_parameter(name), name) for name in self._learning]
        try:
            yield [*self._learning.values()]
        finally:
            self._learning = {}
            for hook in hooks:
                hook.remove()

    def _gather(self, weight: Any, name: str) -> Any:
        def gather(weight: Any) -> None:
            gradient = self.clusters[name].summed(whole(weight.grad))
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
        """Hang on each parameter that learns that its gradients are summed by cluster, by whatever they are trained."""
        for name in self.clusters:
            if (weight := module.get_parameter(name)).requires_grad:
                weight.register_hook(partial(self._summed, name))

    def _summed(self, name: str, gradient: Any) -> Any:
        if name in self._learning:
            return gradient
        clusters = self.clusters[name]
        summed = clusters.spread(clusters.summed(whole(gradient)))
        # what a hook gives has to be of the kind that it was handed
        return summed.to_sparse(gradient.sparse_dim()) if gradient.is_sparse else summed


class _Clusters:
    """Of one parameter. Its weights are many, and this is asked with every step."""

    def __init__(self, indices: Any, signs: Any = None) -> None:
        import torch

        self._shape, self._flat = indices.shape, indices.flatten()
        self._signs = None if signs is None else signs.flatten()
        self._counts = torch.bincount(self._flat)
        # of each cluster, one weight
        self._one = torch.zeros_like(self._counts).scatter_(0, self._flat, torch.arange(len(self._flat)))
        # and of each that has some up to so many, evenly spread
        seen, order = min(_SEEN, int(self._counts.max())), torch.argsort(self._flat, stable=True)
        starts, self._held = self._counts.cumsum(0) - self._counts, self._counts.nonzero().flatten()
        steps = torch.arange(seen) * self._counts[self._held, None] // seen
        self._some = order[starts[self._held, None] + steps]

    def to(self, device: str) -> None:
        for name, value in vars(self).items():
            if hasattr(value, "to"):
                setattr(self, name, value.to(device))

    def _signed(self, values: Any) -> Any:
        """Of each weight, turned to the sign that its cluster's value has, or back."""
        return values if self._signs is None else values * self._signs.to(values.dtype)

    def summed(self, values: Any) -> Any:
        """By cluster, shape [clusters]."""
        import torch

        sums = torch.zeros(len(self._counts), dtype=values.dtype, device=values.device)
        return sums.index_add_(0, self._flat, self._signed(values.flatten()))

    def spread(self, values: Any) -> Any:
        """To each weight what its cluster has."""
        return self._signed(values.index_select(0, self._flat)).reshape(self._shape)

    def apart(self, weight: Any) -> bool:
        """Whether some of those that share a value have different ones."""
        flat = self._signed(weight.detach().flatten())
        return bool((flat[self._some] != flat[self._one[self._held]][:, None]).any())

    def values(self, weight: Any) -> Any:
        """By cluster, shape [clusters]."""
        return self._signed(weight.detach().flatten())[self._one]

    def put(self, weight: Any, values: Any) -> None:
        """Give each weight what its cluster has."""
        import torch

        with torch.no_grad():
            weight.copy_(self.spread(values))

    def tie(self, weight: Any) -> None:
        import torch

        with torch.no_grad():
            if not torch.equal(weight, self.spread(self.values(weight))):
                self.put(weight, self.means(weight))

    def means(self, weight: Any) -> Any:
        """By cluster, shape [clusters]; 0 of one that no weight is in."""
        return self.summed(weight.double()) / self._counts.clamp(min=1)


def share(subject: Subject, options: ClusterOptions, given: Given) -> Subject:
    """See `Cluster` and `Transformation.apply`; of a module."""
    import torch

    module = subject.source
    refuse_not_finite(module, NAME)
    in_place_of_parametrized(subject, NAME, given)
    weights, scaled = parted(module, changeable(module, options.exclude, NAME))
    masks = subject.left.get(masking.NAME)
    zeros = masks.zeros if isinstance(masks, Masks) else {}
    found, indices = _Found(2**options.bits), dict[str, Any]()
    for name, weight in given.progress.over(weights.items(), NAME, len(weights)):
        if not found.takes(name, weight.numel(), weight.is_floating_point()):
            continue
        held = zeros[name].numpy() if name in zeros else None
        shared, clusters = found.shared(name, weight.detach().double().numpy(), held)
        with torch.no_grad():
            weight.copy_(torch.from_numpy(shared))
        indices[name] = torch.from_numpy(clusters)
    found.tell(given, scaled=scaled)
    told_scaled(scaled, given)
    ties = Ties(indices, zeros.keys() & indices.keys())
    ties.sum_gradients(module)
    return subject.leaving(NAME, ties)


def parted(module: Any, weights: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Weights that stay what they are, and the names of tables that PyTorch scales to `max_norm` row by row when they
    are read: those would soon share nothing."""
    scaled = [
        name for name in weights if getattr(module.get_submodule(name.rpartition(".")[0]), "max_norm", None) is not None
    ]
    return {name: weight for name, weight in weights.items() if name not in scaled}, scaled


def told_scaled(names: Sequence[str], given: Given) -> None:
    if names:
        given.progress.say(f"{NAME}: scaled to `max_norm` when they are read, left as they are: {', '.join(names)}")
        given.notes[NAME]["kept"] += names


def changed_nothing(
    few: str, kept: Sequence[str], scaled: Sequence[str] = (), unreached: Mapping[str, str] = MappingProxyType({})
) -> RecipeFailed:
    """Why no weight shares anything.

    Args:
        few: what no layer has of those that have too few weights.
        kept: these.
        scaled: see `parted`.
        unreached: why other layers of a file keep their weights.
    """
    told = [f"{told_of(layers)}: {reason}" for reason, layers in by_reason(unreached).items()]
    if scaled:
        told.append(
            f"{told_of(scaled)}: scaled to `max_norm` when they are read, so that they would soon share nothing; build "
            "them without it"
        )
    if kept:
        told.append(f"no {'other ' if told else ''}layer {few}")
    why = "; ".join(told) or "the model has no layer with weights that is not excluded"
    return RecipeFailed(f"{NAME} changed nothing: {why}")


def share_in_file(subject: Subject, options: ClusterOptions, given: Given) -> Subject:
    """The same of a model file, whose weights nothing trains. Where weights were made zero, zero is a value of its
    own."""
    weights = weights_of(subject, given)
    left_alone = left_alone_in(weights, options.exclude, NAME)
    found = _Found(2**options.bits)
    for name, stored in given.progress.over(list(weights.stored.items()), NAME, len(weights.stored)):
        if left_alone & {*stored.layers} or not found.takes(name, math.prod(stored.shape)):
            continue
        values = finite(weights, name, NAME).astype(np.float64)
        held = values == 0 if masking.NAME in subject.left else None
        weights.give(name, found.shared(name, values, held)[0])
    found.tell(given, unreached=weights.kept)
    return saved(subject, weights, given, NAME)


class _Found:
    """What weights share, and what is told of it."""

    def __init__(self, size: int) -> None:
        """Args:
        size: how many values a weight may have.
        """
        self._size = size
        self._values: dict[str, int] = {}
        self._errors: dict[str, float] = {}
        self._kept: list[str] = []

    def takes(self, name: str, count: int, floating: bool = True) -> bool:
        """Whether so many weights are worth a table."""
        if floating and count > 2 * self._size:
            return True
        self._kept.append(name)
        return False

    def shared(self, name: str, plain: Any, zeros: Any) -> tuple[Any, Any]:
        """Weights of few values in place of these, and which of the values each has.

        Args:
            zeros: where they are zero and stay it; None: nowhere.
        """
        table, clusters = _clustered(plain, self._size, zeros)
        shared = table[clusters]
        norm = float((plain**2).sum()) ** 0.5
        self._values[name] = len(table)
        self._errors[name] = float(((plain - shared) ** 2).sum()) ** 0.5 / norm if norm else 0.0
        return shared, clusters

    def tell(
        self, given: Given, *, scaled: Sequence[str] = (), unreached: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """See `changed_nothing`.

        Raises:
            RecipeFailed: no weight shares anything.
        """
        size, kept = self._size, self._kept
        if kept:
            given.progress.say(
                f"cluster: too few weights for {size} values to pay, left as they are: {', '.join(kept)}"
            )
        if not self._values:
            raise changed_nothing(f"has more than {2 * size} weights; lower `bits`", kept, scaled, unreached)
        given.progress.say(f"cluster: {len(self._values)} weight tensors of at most {size} values")
        given.notes[NAME] = {"values": self._values, "errors": self._errors, "kept": kept, **noted(unreached)}


def _clustered(plain: Any, size: int, zeros: Any) -> tuple[Any, Any]:
    """The values of a weight, and which of them each of its elements has. Where zeros have to stay, zero is a value of
    theirs alone."""
    if zeros is None:
        table = means(plain.ravel(), size)
        return table, nearest(plain, table)
    if zeros.all():
        return np.zeros(1), np.zeros(zeros.shape, np.int64)
    table = means(plain[~zeros], size - 1)
    return np.concatenate([[0.0], table]), np.where(zeros, 0, 1 + nearest(plain, table))
