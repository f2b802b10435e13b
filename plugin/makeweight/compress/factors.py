"""A layer as several thinner ones in a row: the factors of its weight, cut off at a rank.

Of a matrix, truncated singular values are the best there is (Eckart and Young, 1936,
https://doi.org/10.1007/BF02288367). A convolution is cut in two ways: along its channels (Tucker-2; Kim et al.,
"Compression of Deep Convolutional Neural Networks for Fast and Low Power Mobile Applications", ICLR 2016,
https://arxiv.org/abs/1511.06530), or into a column and a row (Jaderberg, Vedaldi and Zisserman, "Speeding up
Convolutional Neural Networks with Low Rank Expansions", BMVC 2014, https://arxiv.org/abs/1405.3866).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Convolutions = Literal["tucker", "spatial"]

# Turns of the alternating least squares that refine Tucker's factors (HOOI); more change the error in no digit shown.
_TURNS = 5


class Factorization(Protocol):
    """The weight of a layer, ready to be cut off at any ranks."""

    @property
    def spectra(self) -> Sequence[Any]:
        """Of each rank that is to be chosen, the squared singular values, falling; see `full_ranks`."""
        ...

    def cut(self, ranks: Sequence[int]) -> Cut: ...


@dataclass(frozen=True)
class Cut:
    """What stands for a layer at certain ranks."""

    layers: list[Any]
    """torch.nn.Modules, one after the other."""
    error: float
    """Of the weight that they stand for, from the layer's own: the norm of the difference, as a part of its norm."""


def factorization(layer: Any, convolutions: Convolutions) -> Factorization:
    """Of a Linear, an Embedding or a Conv2d without groups; weights not all zero."""
    from torch import nn

    weight = layer.weight.detach().double()
    if isinstance(layer, nn.Linear):
        return _product(weight, lambda left, right: _linears(layer, left, right))
    if isinstance(layer, nn.Embedding):
        return _product(weight, lambda left, right: _embeddings(layer, left, right))
    if layer.kernel_size == (1, 1):
        return _product(weight.flatten(1), lambda left, right: _pointwise(layer, left, right))
    if convolutions == "tucker":
        return _Tucker(layer, weight)
    # [outputs, inputs, height, width] as a matrix [outputs x width, inputs x height]
    matrix = weight.permute(0, 3, 1, 2).flatten(2).flatten(0, 1)
    return _product(matrix, lambda left, right: _separable(layer, left, right))


def full_ranks(layer: Any, convolutions: Convolutions) -> tuple[int, ...]:
    """The ranks at which nothing is lost, of a layer that `factorization` takes: as many as there are to choose."""
    shape = layer.weight.shape
    if len(shape) == 2 or shape[2:] == (1, 1):
        return (min(shape[:2]),)
    outputs, inputs, height, width = shape
    if convolutions == "spatial":
        return (min(outputs * width, inputs * height),)
    taps = height * width
    return min(outputs, inputs * taps), min(inputs, outputs * taps)


def rank_of(spectrum: Any, energy: float) -> int:
    """The least rank that keeps this share of the squared singular values."""
    kept = spectrum.cumsum(0) / spectrum.sum()
    return min(int((kept < energy).sum()) + 1, len(spectrum))


def factored(layer: Any, cut: Cut) -> Any:
    """What is put in the layer's place. Code that reads the weight or the bias of the layer finds them there still."""
    import torch
    from torch import nn

    class Factored(nn.Sequential):  # type: ignore[misc]
        @property
        def weight(self) -> Any:
            return _whole(list(self))

        @property
        def bias(self) -> Any:
            return self[-1].bias

    made = Factored(*cut.layers).to(layer.weight)
    if getattr(layer, "bias", None) is not None:
        with torch.no_grad():
            made.bias.copy_(layer.bias)
    return made.train(layer.training)


def _whole(layers: Sequence[Any]) -> Any:
    """The one weight that layers in a row stand for."""
    import torch
    from torch import nn

    first, *others = layers
    whole = first.weight
    if isinstance(first, nn.Embedding):
        return whole @ others[0].weight.T
    if isinstance(first, nn.Linear):
        return others[0].weight @ whole
    for layer in others:
        # of two kernels in a row one is 1 wide, along each axis
        joined = torch.einsum("orab,ricd->oiacbd", layer.weight, whole)
        whole = joined.flatten(2, 3).flatten(3, 4)
    return whole


@dataclass(frozen=True)
class _Product:
    left: Any
    values: Any
    right: Any
    made: Callable[[Any, Any], list[Any]]

    @property
    def spectra(self) -> Sequence[Any]:
        return (self.values**2,)

    def cut(self, ranks: Sequence[int]) -> Cut:
        (rank,) = ranks
        root = self.values[:rank].sqrt()  # shared out, so that both factors learn at one rate and quantize alike
        layers = self.made(self.left[:, :rank] * root, root[:, None] * self.right[:rank])
        return Cut(layers, float(self.values[rank:].norm() / self.values.norm()))


def _product(matrix: Any, made: Callable[[Any, Any], list[Any]]) -> _Product:
    import torch

    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    return _Product(left, values, right, made)


def _linears(layer: Any, left: Any, right: Any) -> list[Any]:
    from torch import nn

    first = nn.Linear(layer.in_features, right.shape[0], bias=False)
    second = nn.Linear(right.shape[0], layer.out_features, bias=layer.bias is not None)
    return _filled((first, right), (second, left))


def _embeddings(layer: Any, left: Any, right: Any) -> list[Any]:
    from torch import nn

    table = nn.Embedding(
        layer.num_embeddings,
        right.shape[0],
        padding_idx=layer.padding_idx,
        scale_grad_by_freq=layer.scale_grad_by_freq,
        sparse=layer.sparse,
    )
    return _filled((table, left), (nn.Linear(right.shape[0], layer.embedding_dim, bias=False), right.T))


def _pointwise(layer: Any, left: Any, right: Any) -> list[Any]:
    first = _convolution(layer, layer.in_channels, len(right), stride=layer.stride, padding=layer.padding)
    second = _convolution(layer, len(right), layer.out_channels, bias=layer.bias is not None)
    return _filled((first, right), (second, left))


def _separable(layer: Any, left: Any, right: Any) -> list[Any]:
    (height, width), biased, rank = layer.kernel_size, layer.bias is not None, len(right)
    along = [_along(layer, axis) for axis in (0, 1)]
    column = _convolution(layer, layer.in_channels, rank, kernel_size=(height, 1), **along[0])
    row = _convolution(layer, rank, layer.out_channels, kernel_size=(1, width), bias=biased, **along[1])
    return _filled((column, right), (row, left.reshape(layer.out_channels, width, rank).transpose(1, 2)))


def _along(layer: Any, axis: int) -> dict[str, Any]:
    """The settings of a convolution along one axis, and none along the other."""

    def one(pair: Sequence[int], other: int) -> tuple[int, int]:
        return (pair[0], other) if axis == 0 else (other, pair[1])

    padding = layer.padding if isinstance(layer.padding, str) else one(layer.padding, 0)
    return {"stride": one(layer.stride, 1), "padding": padding, "dilation": one(layer.dilation, 1)}


class _Tucker:
    """W[o, i] = sum over p and q of outer[o, p] core[p, q] inner[i, q]."""

    def __init__(self, layer: Any, weight: Any) -> None:
        import torch

        self._layer, self._weight = layer, weight
        self.spectra = [torch.linalg.svdvals(_unfolded(weight, axis)) ** 2 for axis in (0, 1)]

    def cut(self, ranks: Sequence[int]) -> Cut:
        layer, weight = self._layer, self._weight
        # a side that keeps all its channels needs no layer of its own
        thin = [axis for axis in (0, 1) if ranks[axis] < weight.shape[axis]]
        factors: dict[int, Any] = {axis: _leading(weight, axis, ranks[axis]) for axis in thin}
        for _ in range(_TURNS if len(thin) == 2 else 0):
            for axis in thin:
                other = 1 - axis
                factors[axis] = _leading(_projected(weight, other, factors[other]), axis, ranks[axis])
        core = weight
        for axis in thin:
            core = _projected(core, axis, factors[axis])
        made = []
        if 1 in thin:
            made.append((_convolution(layer, layer.in_channels, ranks[1]), factors[1].T))
        biased = layer.bias is not None
        settings = {name: getattr(layer, name) for name in ("kernel_size", "stride", "padding", "dilation")}
        outputs, inputs = core.shape[:2]
        made.append((_convolution(layer, inputs, outputs, bias=biased and 0 not in thin, **settings), core))
        if 0 in thin:
            made.append((_convolution(layer, ranks[0], layer.out_channels, bias=biased), factors[0]))
        # the factors are orthonormal: what the core does not hold is lost
        lost = max(1 - float((core.norm() / weight.norm()) ** 2), 0.0)
        return Cut(_filled(*made), math.sqrt(lost))


def _unfolded(weight: Any, axis: int) -> Any:
    return weight.movedim(axis, 0).flatten(1)


def _leading(weight: Any, axis: int, rank: int) -> Any:
    """The leading left singular vectors along an axis, shape [channels, rank]."""
    import torch

    return torch.linalg.svd(_unfolded(weight, axis), full_matrices=False)[0][:, :rank]


def _projected(weight: Any, axis: int, factor: Any) -> Any:
    import torch

    return torch.tensordot(factor.T, weight, ([1], [axis])).movedim(0, axis)


def _convolution(layer: Any, inputs: int, outputs: int, *, kernel_size: Any = 1, **settings: Any) -> Any:
    """A convolution that treats the edges as this layer does; without a bias, unless one is set."""
    from torch import nn

    edges = layer.padding_mode if settings.get("padding") else "zeros"
    return nn.Conv2d(inputs, outputs, kernel_size, **{"bias": False, "padding_mode": edges, **settings})


def _filled(*pairs: tuple[Any, Any]) -> list[Any]:
    """Layers with their weights, given in any shape of as many numbers."""
    import torch

    with torch.no_grad():
        for layer, weight in pairs:
            layer.weight.copy_(weight.reshape(layer.weight.shape))
    return [layer for layer, _ in pairs]
