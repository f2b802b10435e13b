"""Which parameters of a module techniques may make zero or share."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from makeweight.compress.deadend import changeable
from makeweight.runtimes.runtime import RecipeFailed


class Network(nn.Module):
    """As much of one as its parameters; it computes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((6, 1, 1), 1e-6))  # as of each block of ConvNeXt
        self.beginning = nn.Parameter(torch.zeros(1, 1, 6))
        self.places, self.none = nn.Parameter(torch.zeros(1, 4, 6)), nn.Parameter(torch.zeros(0, 4))
        self.norm = nn.LayerNorm([6, 2, 2])
        self.spreading, self.scoring = nn.Linear(1, 6), nn.Linear(6, 1)
        self.normed = nn.utils.parametrizations.weight_norm(nn.Conv1d(6, 4, 3))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            self.older = nn.utils.weight_norm(nn.Linear(6, 4))


def test_what_only_scales_channels_or_is_added_to_them_is_left_alone() -> None:
    network = Network()
    products = {"spreading.weight", "scoring.weight", "normed.parametrizations.weight.original1", "older.weight_v"}
    assert changeable(network, (), "sparsify").keys() == {"places"} | products
    # what is left alone anyway may be named all the same
    assert "norm.weight" not in changeable(network, ("norm", "scoring"), "sparsify")
    assert "scoring.weight" not in changeable(network, ("norm", "scoring"), "sparsify")
    with pytest.raises(RecipeFailed, match="in `exclude`, `head` fits no layer"):
        changeable(network, ("head",), "sparsify")
