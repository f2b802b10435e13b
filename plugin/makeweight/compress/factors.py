"""A layer as several thinner ones in a row: the factors of its weight, cut off at a rank.

Of a matrix, truncated singular values are the best there is (Eckart and Young, 1936,
https://doi.org/10.1007/BF02288367). A convolution is cut in two ways: along its channels (Tucker-2; Kim et al.,
"Compression of Deep Convolutional Neural Networks for Fast and Low Power Mobile Applications", ICLR 2016,
https://arxiv.org/abs/1511.06530), or into a column and a row (Jaderberg, Vedaldi and Zisserman, "Speeding up
Convolutional Neural Networks with Low Rank Expansions", BMVC 2014, https://arxiv.org/abs/1405.3866). Where its channels
are in groups, each group has factors of its own, of the same rank.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from makeweight.runtimes.weights import Factor, Layer

Convolutions = Literal["tucker", "spatial"]
Array = NDArray[np.float64]

# Turns of the alternating least squares that refine Tucker's factors (HOOI); more change the error in no digit shown.
_TURNS = 5
# Where the axes of a weight stand: groups, outputs, inputs, then the kernel's.
_OUTPUTS, _INPUTS, _KERNEL = 1, 2, 3


class Factorization(Protocol):
    """The weight of a layer, ready to be cut off at any ranks."""

    @property
    def spectra(self) -> Sequence[Array]:
        """Of each rank that is to be chosen, the squared singular values, falling, of all groups together; see
        `full_ranks`."""
        ...

    def cut(self, ranks: Sequence[int]) -> Cut: ...


@dataclass(frozen=True)
class Cut:
    """What stands for a layer at certain ranks."""

    factors: list[Factor]
    """One after the other."""
    error: float
    """Of the weight that they stand for, from the layer's own: the norm of the difference, as a part of its norm."""

    @property
    def size(self) -> int:
        return sum(factor.weight.size for factor in self.factors)


def factorization(layer: Layer, convolutions: Convolutions) -> Factorization:
    """Weights not all zero."""
    if _in_two(layer, convolutions):
        return _Product(layer)
    return _Tucker(layer)


def full_ranks(layer: Layer, convolutions: Convolutions) -> tuple[int, ...]:
    """The ranks at which nothing is lost: as many as there are to choose."""
    _, outputs, inputs, *kernel = layer.weight.shape
    if _in_two(layer, convolutions):
        first, second = _axes(layer)
        return (min(inputs * _places(kernel, first), outputs * _places(kernel, second)),)
    places = math.prod(kernel)
    return min(outputs, inputs * places), min(inputs, outputs * places)


def rank_of(spectrum: Array, energy: float) -> int:
    """The least rank that keeps this share of the squared singular values."""
    kept = spectrum.cumsum() / spectrum.sum()
    return min(int((kept < energy).sum()) + 1, len(spectrum))


def products(layer: Layer, factors: Sequence[Factor]) -> int:
    """Multiplications of layers in a row for one example, at the sizes that the layer is given and gives; where these
    are not known, a number in the same ratio to that of the layer: `whole(layer)`."""
    given, gives = layer.sizes
    sizes, count = list(given), 0
    for factor in factors:
        before = math.prod(sizes)
        for axis in factor.axes if sizes else ():
            sizes[axis] = gives[axis]
        # what is spread multiplies by what it is given, what is gathered by what it gives
        count += factor.weight.size * (before if layer.transposed and factor.axes else math.prod(sizes))
    return count


def whole(layer: Layer) -> Factor:
    """A layer as the only one in its row."""
    _, _, inputs, *kernel = layer.weight.shape
    return Factor(layer.weight.reshape(-1, inputs, *kernel), tuple(range(len(kernel))))


def _in_two(layer: Layer, convolutions: Convolutions) -> bool:
    """Whether it is cut as one matrix, into two factors."""
    return convolutions == "spatial" or math.prod(layer.weight.shape[_KERNEL:]) == 1


def _axes(layer: Layer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Along which axes of its kernel the first and the second of two factors move: so that most of what they multiply
    is small, where it moves in strides."""
    kernel = layer.weight.shape[_KERNEL:]
    every, none = tuple(range(len(kernel))), ()
    if math.prod(kernel) == 1:
        return (none, every) if layer.transposed else (every, none)
    return (every[1:], every[:1]) if layer.transposed else (every[:1], every[1:])


def _places(kernel: Sequence[int], axes: Sequence[int]) -> int:
    return math.prod(kernel[axis] for axis in axes)


class _Product:
    """As a matrix of all that comes out, along the second factor's axes, by all that goes in, along the first's."""

    def __init__(self, layer: Layer) -> None:
        groups, outputs, inputs, *self._kernel = layer.weight.shape
        self._first, self._second = _axes(layer)
        self._groups, self._outputs, self._inputs = groups, outputs, inputs
        order = [0, _OUTPUTS, *self._at(self._second), _INPUTS, *self._at(self._first)]
        matrix = layer.weight.transpose(order).reshape(groups, outputs * _places(self._kernel, self._second), -1)
        self._left, self._values, self._right = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)

    @property
    def spectra(self) -> Sequence[Array]:
        return ((self._values**2).sum(axis=0),)

    def cut(self, ranks: Sequence[int]) -> Cut:
        (rank,) = ranks
        root = np.sqrt(self._values[:, :rank])  # shared out, so that both factors learn at one rate and quantize alike
        right = (root[:, :, None] * self._right[:, :rank]).reshape(self._groups * rank, self._inputs, *self._wide(True))
        left = (self._left[:, :, :rank] * root[:, None]).reshape(self._groups, self._outputs, -1, rank)
        left = left.swapaxes(2, 3).reshape(self._groups * self._outputs, rank, *self._wide(False))
        lost = np.linalg.norm(self._values[:, rank:]) / np.linalg.norm(self._values)
        return Cut([Factor(right, self._first), Factor(left, self._second)], float(lost))

    def _at(self, axes: Sequence[int]) -> list[int]:
        return [_KERNEL + axis for axis in axes]

    def _wide(self, first: bool) -> list[int]:
        """The kernel of a factor."""
        axes = self._first if first else self._second
        return [size if axis in axes else 1 for axis, size in enumerate(self._kernel)]


class _Tucker:
    """W[o, i] = sum over p and q of outer[o, p] core[p, q] inner[i, q], in each group."""

    def __init__(self, layer: Layer) -> None:
        self._weight = layer.weight.astype(np.float64)
        # of both, those of what it gives first
        self.spectra = [_leading(self._weight, axis)[0].sum(axis=0) for axis in (_OUTPUTS, _INPUTS)]

    def cut(self, ranks: Sequence[int]) -> Cut:
        weight, asked = self._weight, dict(zip((_OUTPUTS, _INPUTS), ranks, strict=True))
        # a side that keeps all its channels needs no layer of its own
        thin = [axis for axis, rank in asked.items() if rank < weight.shape[axis]]
        factors = {axis: _leading(weight, axis)[1][..., : asked[axis]] for axis in thin}
        for _ in range(_TURNS if len(thin) == 2 else 0):
            for axis in thin:
                other = _INPUTS if axis == _OUTPUTS else _OUTPUTS
                factors[axis] = _leading(_projected(weight, other, factors[other]), axis)[1][..., : asked[axis]]
        core = weight
        for axis in thin:
            core = _projected(core, axis, factors[axis])
        groups, outputs, inputs, *kernel = core.shape
        pointwise, made = [1] * len(kernel), []
        if _INPUTS in thin:
            inner = factors[_INPUTS].swapaxes(1, 2)
            made.append(Factor(inner.reshape(groups * inputs, -1, *pointwise), ()))
        made.append(Factor(core.reshape(groups * outputs, inputs, *kernel), tuple(range(len(kernel)))))
        if _OUTPUTS in thin:
            made.append(Factor(factors[_OUTPUTS].reshape(-1, outputs, *pointwise), ()))
        # the factors are orthonormal: what the core does not hold is lost
        lost = max(1 - float((np.linalg.norm(core) / np.linalg.norm(weight)) ** 2), 0.0)
        return Cut(made, math.sqrt(lost))


def _leading(weight: Array, axis: int) -> tuple[Array, Array]:
    """Along an axis, in each group, the squared singular values, falling, and the left singular vectors, [groups,
    channels, rank]: those of a product with itself, which is small."""
    unfolded = np.moveaxis(weight, axis, 1).reshape(len(weight), weight.shape[axis], -1)
    values, vectors = np.linalg.eigh(unfolded @ unfolded.swapaxes(1, 2))
    most = min(unfolded.shape[1:])
    return np.maximum(values[:, ::-1], 0)[:, :most], vectors[..., ::-1][..., :most]


def _projected(weight: Array, axis: int, factor: Array) -> Array:
    """A weight in the coordinates of [groups, channels, rank] along an axis."""
    moved: Any = np.einsum("gcr,gc...->gr...", factor, np.moveaxis(weight, axis, 1))
    return np.moveaxis(moved, 1, axis)
