"""Tables of vectors whose gradients have the rows alone that were read learn as those with whole ones do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import nn

from makeweight.compress.movement import Movement
from makeweight.compress.optimizing import Optimizer
from makeweight.compress.sharing import Ties
from makeweight.compress.training_options import TrainingOptions

WORDS = torch.tensor([[0, 3, 3], [5, 1, 0]])


def _both(learn: Callable[[Any], Any]) -> tuple[Any, Any]:
    found = []
    for sparse in (True, False):
        torch.manual_seed(0)
        found.append(learn(nn.Embedding(6, 4, sparse=sparse)))
    return found[0], found[1]


def _steps(table: Any, optimizer: Optimizer, after: Callable[[], None] = lambda: None) -> Any:
    for _ in range(3):
        optimizer.step(table(WORDS).square().sum())
        after()
    return table.weight.detach().clone()


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_a_step_is_the_same(name: Any) -> None:
    options = TrainingOptions(optimizer=name, lr=0.1, clip=0.5)
    rows, whole = _both(lambda table: _steps(table, Optimizer(table.parameters(), options, 3)))
    assert torch.equal(rows, whole)
    torch.manual_seed(0)
    assert not torch.allclose(whole, nn.Embedding(6, 4).weight.detach(), atol=1e-3)


def test_so_is_what_training_moves() -> None:
    def moved(table: Any) -> Any:
        movement = Movement(table, ["weight"])
        _steps(table, Optimizer(table.parameters(), TrainingOptions(), 3))
        return torch.from_numpy(movement.scores({})["weight"])

    rows, whole = _both(moved)
    assert torch.equal(rows, whole)
    assert [bool(row.any()) for row in whole] == [True, True, False, True, False, True]


@pytest.mark.parametrize("standing", [True, False], ids=["values learn", "weights learn"])
def test_so_are_values_that_weights_share(standing: bool) -> None:
    def shared(table: Any) -> Any:
        ties = Ties({"weight": torch.arange(24).reshape(6, 4) % 5})
        ties.after_step(table.eval())
        ties.sum_gradients(table.train())
        learning: Any = ties.standing_in(table) if standing else nullcontext([])
        with learning as values:
            optimizer = Optimizer([*table.parameters(), *values], TrainingOptions(lr=0.1), 3)
            return _steps(table, optimizer, lambda: ties.after_step(table))

    rows, whole = _both(shared)
    assert torch.equal(rows, whole)
    assert len(whole.unique()) == 5
