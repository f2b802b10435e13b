"""Factors against numpy's singular values, and layers in a row against the layer that they stand for."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from makeweight.compress.factors import Cut, factorization, full_ranks, products, rank_of, whole
from makeweight.compress.thin import as_layer, in_a_row
from makeweight.runtimes.weights import Factor, Layer


def _drawn(layer: Any) -> Any:
    torch.manual_seed(3)
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    return layer.eval()


MATRICES = {
    "linear": (nn.Linear(12, 20), lambda weight: weight),
    "embedding": (nn.Embedding(30, 8), lambda weight: weight),
    "pointwise": (nn.Conv2d(10, 14, 1), lambda weight: weight[:, :, 0, 0]),
    "spatial": (nn.Conv2d(4, 6, (3, 5)), lambda weight: weight.transpose(0, 3, 1, 2).reshape(30, 12)),
}


@pytest.mark.parametrize("kind", MATRICES)
def test_a_matrix_cut_off_is_the_nearest_of_its_rank(kind: str) -> None:
    layer, matrix = MATRICES[kind]
    _drawn(layer)
    values = np.linalg.svd(matrix(layer.weight.detach().numpy()).astype(np.float64), compute_uv=False)
    factors = factorization(as_layer(layer), "spatial")
    assert np.allclose(factors.spectra[0], values**2)
    assert full_ranks(as_layer(layer), "spatial") == (len(values),)
    cut = factors.cut([5])
    least = np.sqrt((values[5:] ** 2).sum() / (values**2).sum())  # Eckart and Young
    assert cut.error == pytest.approx(least)
    stands_for = matrix(in_a_row(layer, cut.factors).weight.detach().numpy())
    assert np.linalg.matrix_rank(stands_for, tol=1e-4) == 5
    difference = matrix(layer.weight.detach().numpy()) - stands_for
    assert np.linalg.norm(difference) / np.linalg.norm(values) == pytest.approx(least, rel=1e-4)


def _unfolded(weight: np.ndarray, axis: int) -> np.ndarray:
    return np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)


def test_tucker_loses_no_more_than_its_two_cuts_and_no_less_than_the_larger() -> None:
    layer = _drawn(nn.Conv2d(10, 12, 3))
    weight = layer.weight.detach().numpy().astype(np.float64)
    factors = factorization(as_layer(layer), "tucker")
    lost = []
    for axis, rank in ((0, 7), (1, 6)):
        squares = np.linalg.svd(_unfolded(weight, axis), compute_uv=False) ** 2
        assert np.allclose(factors.spectra[axis], squares)
        lost.append(squares[rank:].sum() / squares.sum())
    cut = factors.cut([7, 6])
    assert max(lost) <= cut.error**2 <= sum(lost)
    stands_for = in_a_row(layer, cut.factors).weight.detach().numpy()
    assert [np.linalg.matrix_rank(_unfolded(stands_for, axis), tol=1e-3) for axis in (0, 1)] == [7, 6]
    assert np.linalg.norm(weight - stands_for) / np.linalg.norm(weight) == pytest.approx(cut.error, rel=1e-4)
    # truncating both ways at once, without refining, is no better
    projectors = []
    for axis, rank in ((0, 7), (1, 6)):
        left = np.linalg.svd(_unfolded(weight, axis), full_matrices=False)[0][:, :rank]
        projectors.append(left @ left.T)
    truncated = np.einsum("ab,cd,bdhw->achw", *projectors, weight)
    assert cut.error < np.linalg.norm(weight - truncated) / np.linalg.norm(weight)


CONVOLUTIONS = {
    "plain": nn.Conv2d(4, 6, 3),
    "strided": nn.Conv2d(4, 6, 3, stride=(2, 1), padding=(1, 0)),
    "dilated": nn.Conv2d(4, 6, 3, dilation=(1, 2), padding=2),
    "without bias": nn.Conv2d(4, 6, (5, 1), bias=False),
    "same": nn.Conv2d(4, 6, (3, 5), padding="same"),
    "reflected": nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"),
    "circular": nn.Conv2d(4, 6, 3, padding=(2, 1), padding_mode="circular"),
    "few inputs": nn.Conv2d(1, 20, 3, padding=1),
    "pointwise, padded": nn.Conv2d(4, 6, 1, stride=2, padding=1),
    "grouped": nn.Conv2d(4, 6, 3, groups=2, stride=2, padding=1),
    "depthwise": nn.Conv2d(4, 8, 3, groups=4),
    "of one axis": nn.Conv1d(4, 6, 5, stride=2, padding=2, padding_mode="circular"),
    "of three axes": nn.Conv3d(4, 6, (3, 2, 3), padding=(1, 0, 1)),
    "transposed": nn.ConvTranspose2d(4, 6, (3, 4), stride=(2, 3), padding=1, output_padding=(1, 0), dilation=(1, 2)),
    "transposed, of one axis": nn.ConvTranspose1d(4, 6, 4, stride=2, padding=1),
    "transposed, grouped": nn.ConvTranspose2d(4, 6, 3, groups=2, stride=2),
    "transposed, pointwise": nn.ConvTranspose2d(4, 6, 1, stride=2, output_padding=1),
}


@pytest.mark.parametrize("way", ["tucker", "spatial"])
@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_at_full_rank_layers_in_a_row_answer_what_the_layer_answers(kind: str, way: Any) -> None:
    layer = _drawn(copy.deepcopy(CONVOLUTIONS[kind]))
    cut = factorization(as_layer(layer), way).cut(full_ranks(as_layer(layer), way))
    made = in_a_row(layer, cut.factors)
    image = torch.randn(2, layer.in_channels, *(7, 9, 11)[3 - len(layer.kernel_size) :])
    with torch.no_grad():
        assert torch.allclose(made(image), layer(image), atol=1e-4)
    assert torch.allclose(made.weight, layer.weight, atol=1e-5)
    assert cut.error < 1e-6


def test_a_side_that_keeps_its_channels_gets_no_layer_of_its_own() -> None:
    layer = _drawn(nn.Conv2d(3, 32, 3))
    factors = factorization(as_layer(layer), "tucker").cut([16, 3]).factors
    assert [factor.weight.shape for factor in factors] == [(16, 3, 3, 3), (32, 16, 1, 1)]


def test_padding_of_a_table_stays_without_a_gradient() -> None:
    table = _drawn(nn.Embedding(9, 6, padding_idx=2))
    made = in_a_row(table, factorization(as_layer(table), "tucker").cut([3]).factors)
    made(torch.arange(9)).sum().backward()
    assert not made[0].weight.grad[2].any()
    assert made[0].weight.grad[3].any()


@pytest.mark.parametrize(("energy", "rank"), [(0.1, 1), (0.5, 1), (0.75, 2), (0.76, 3), (0.999, 4)])
def test_the_least_rank_that_keeps_the_energy(energy: float, rank: int) -> None:
    assert rank_of(np.array([4.0, 2.0, 1.0, 1.0]), energy) == rank


def test_groups_share_a_rank_and_lose_what_their_matrices_lose() -> None:
    layer = _drawn(nn.Conv2d(8, 12, (3, 1), groups=2))
    matrices = layer.weight.detach().numpy().astype(np.float64).reshape(2, 6, 12)
    values = np.array([np.linalg.svd(each, compute_uv=False) for each in matrices])
    factors = factorization(as_layer(layer), "spatial")
    assert np.allclose(factors.spectra[0], (values**2).sum(0))
    cut = factors.cut([2])
    assert cut.error**2 == pytest.approx((values[:, 2:] ** 2).sum() / (values**2).sum())
    stands_for = in_a_row(layer, cut.factors).weight.detach().numpy().reshape(2, 6, 12)
    assert [np.linalg.matrix_rank(each, tol=1e-4) for each in stands_for] == [2, 2]


PAIRS: dict[str, tuple[Any, Any]] = {
    "gathered": (nn.Conv2d(6, 8, (3, 2), stride=(2, 1)), (13, 10)),
    "spread": (nn.ConvTranspose2d(6, 8, (3, 2), stride=(2, 1)), (5, 7)),
}


@pytest.mark.parametrize("way", ["tucker", "spatial"])
@pytest.mark.parametrize("kind", PAIRS)
def test_multiplications_are_those_of_each_layer_at_its_size(kind: str, way: Any) -> None:
    layer, sizes = _drawn(PAIRS[kind][0]), PAIRS[kind][1]
    image = torch.randn(1, 6, *sizes)
    known = as_layer(layer, (sizes, layer(image).shape[2:]))
    cut: Cut = factorization(known, way).cut([3] * len(full_ranks(known, way)))
    counted, fed = 0, image
    for each in in_a_row(layer, cut.factors):
        gives = each(fed)
        places = (fed if each.transposed else gives)[0, 0].numel()
        counted, fed = counted + each.weight.numel() * places, gives
    assert products(known, cut.factors) == counted
    places = (image if kind == "spread" else layer(image))[0, 0].numel()
    assert products(known, [whole(known)]) == layer.weight.numel() * places


def test_a_layer_without_a_kernel_multiplies_once_with_each_weight() -> None:
    layer = Layer(np.ones((1, 5, 7)))
    assert products(layer, [Factor(np.ones((2, 7)), ()), Factor(np.ones((5, 2)), ())]) == 24
