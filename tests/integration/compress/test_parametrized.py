"""Weights that a module computes with every call, and weights that do not learn: what techniques make of both."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from integration.compress.conftest import fresh
from makeweight.compress.cluster import Cluster, ClusterOptions
from makeweight.compress.factorize import Factorize, FactorizeOptions
from makeweight.compress.finetune import Finetune
from makeweight.compress.parametrized import in_place_of_parametrized
from makeweight.compress.prune import Prune, PruneOptions
from makeweight.compress.reproducible import reproducible
from makeweight.compress.sparsify import Sparsify, SparsifyOptions
from makeweight.compress.subject import Subject
from makeweight.compress.training_options import TrainingOptions
from makeweight.runtimes.runtime import RecipeFailed


@pytest.fixture
def given(make_project: Any, make_given: Any) -> Any:
    return make_given(make_project())


WAYS: dict[str, Callable[[Any], Any]] = {
    "weight normalization": parametrizations.weight_norm,
    "weight normalization by hooks": nn.utils.weight_norm,
    "spectral normalization": parametrizations.spectral_norm,
    "spectral normalization by hooks": nn.utils.spectral_norm,
    "masks by hooks": lambda layer: prune.random_unstructured(layer, "weight", 0.3),
}


def _image(given: Any) -> Any:
    return torch.from_numpy(next(iter(given.splits["calibration"].first(4).inputs.values())))


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_what_computed_weights_come_to_takes_their_place(given: Any, way: Callable[[Any], Any]) -> None:
    torch.manual_seed(0)
    module = fresh(given)
    way(module[0])
    module.eval()
    with torch.no_grad():
        before = module(_image(given))
    in_place_of_parametrized(Subject(module), "prune", given)
    assert given.progress.lines[-1].endswith("as they are: 0.weight")
    assert sorted(name for name, _ in module[0].named_parameters()) == ["weight"]
    assert not module[0]._forward_pre_hooks
    with torch.no_grad():
        assert torch.allclose(module(_image(given)), before, atol=1e-5)
    copy.deepcopy(module)


def test_techniques_change_what_a_normalized_layer_multiplies_with(given: Any) -> None:
    def normalized() -> Any:
        module = fresh(given)
        parametrizations.weight_norm(module[3])
        return module

    pruned = normalized()
    Prune().apply(Subject(pruned), PruneOptions(ratio=0.5, epochs=0), given)
    assert given.notes["prune"]["channels"] == {"0": [32, 16], "3": [48, 16], "6": [32, 16]}
    assert "refused" not in given.notes["prune"]
    sparse = normalized()
    Sparsify().apply(Subject(sparse), SparsifyOptions(sparsity=0.5, epochs=0), given)
    assert float((sparse[3].weight == 0).float().mean()) == 0.5
    shared = normalized()
    Cluster().apply(Subject(shared), ClusterOptions(bits=3), given)
    assert len(np.unique(shared[3].weight.detach().numpy())) == 8
    Factorize().apply(Subject(normalized()), FactorizeOptions(ratio=0.25, round_to=1), given)
    assert "3" in given.notes["factorize"]["ranks"]


def test_what_does_not_learn_is_pruned_and_shared_and_learns_nothing(given: Any) -> None:
    options = TrainingOptions(epochs=1, lr=0.01)
    module = fresh(given)
    module[0].requires_grad_(False)
    was, other = module[0].weight.clone(), module[3].weight.detach().clone()
    with reproducible(0):
        Prune().apply(Subject(module), PruneOptions(ratio=0.5, epochs=1, lr=0.01), given)
    assert module[0].out_channels == 16
    assert bool(torch.isin(module[0].weight, was).all())
    assert not bool(torch.isin(module[3].weight, other).all())
    assert [each.requires_grad for each in module[0].parameters()] == [False]
    assert all(each.requires_grad for each in module[3].parameters())
    module = fresh(given)
    module[0].requires_grad_(False)
    subject = Cluster().apply(Subject(module), ClusterOptions(bits=3), given)
    was, other = module[0].weight.clone(), module[3].weight.detach().clone()
    with reproducible(0):
        Finetune().apply(subject, options, given)
    assert torch.equal(module[0].weight, was)
    assert not torch.equal(module[3].weight, other)


def test_a_module_of_which_nothing_learns_is_told_so(given: Any) -> None:
    module = fresh(given).requires_grad_(False)
    with pytest.raises(RecipeFailed, match="finetune: the loss depends on no parameter that requires gradients"):
        Finetune().apply(Subject(module), TrainingOptions(epochs=1), given)


def test_a_hash_and_movement_leave_what_does_not_learn_as_it_is(given: Any) -> None:
    finetune = TrainingOptions(epochs=1, lr=0.01)
    module = fresh(given)
    module[3].requires_grad_(False)
    was = module[3].weight.clone()
    with reproducible(0):
        subject = Cluster().apply(Subject(module), ClusterOptions(method="hashing", part=0.25), given)
        Finetune().apply(subject, finetune, given)
    assert torch.equal(module[3].weight, was)
    assert "3.weight" in given.notes["cluster"]["kept"]
    assert len(module[6].weight.abs().unique()) <= 0.25 * module[6].weight.numel()
    module = fresh(given)
    module[3].requires_grad_(False)
    options = SparsifyOptions(sparsity=0.5, rounds=2, epochs=1, importance="movement")
    with reproducible(0):
        Sparsify().apply(Subject(module), options, given)
    assert torch.equal(module[3].weight, was)
    assert not module[3].weight.requires_grad
    assert "3.weight" in given.notes["sparsify"]["kept"]
    assert float((module[6].weight == 0).float().mean()) == 0.5
    frozen = fresh(given).requires_grad_(False)
    with pytest.raises(RecipeFailed, match=r"cluster changed nothing: .* 3\.weight, 6\.weight require no gradients"):
        Cluster().apply(Subject(frozen), ClusterOptions(method="hashing", part=0.25), given)
    with pytest.raises(RecipeFailed, match=r"sparsify changed nothing: 0\.weight, .* training moves none of them"):
        Sparsify().apply(Subject(frozen), options, given)
