"""What training moves towards zero, told from the gradients of a regression that numpy computes."""

import numpy as np
import torch
from torch import nn

from makeweight.compress.movement import Movement


def test_scores_are_minus_the_sum_of_weights_times_their_gradients() -> None:
    rng = np.random.default_rng(0)
    layer = nn.Linear(3, 2, bias=False)
    weight = layer.weight.detach().numpy().astype(np.float64)
    movement, optimizer = Movement(layer, ["weight"]), torch.optim.SGD(layer.parameters(), 0.1)
    expected = np.zeros((2, 3))
    for number in range(4):
        inputs, targets = rng.standard_normal((5, 3)), rng.standard_normal((5, 2))
        optimizer.zero_grad()
        answers = layer(torch.from_numpy(inputs).float())
        (answers - torch.from_numpy(targets).float()).square().sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        gradient = 2 * (inputs @ weight.T - targets).T @ inputs
        expected -= weight * gradient
        weight = weight - 0.1 * gradient
        if number == 1:  # as after a kill
            movement.end()
            kept, movement = movement.state_dict(), Movement(layer, ["weight"])
            movement.load_state_dict(kept)
    assert np.allclose(movement.scores({})["weight"], expected, rtol=1e-3, atol=1e-4)
    masked = torch.tensor([[True, False, False], [False, False, True]])
    found = movement.scores({"weight": masked})["weight"]
    assert np.array_equal(np.isneginf(found), masked.numpy())
    movement.end()
    layer(torch.ones(1, 3)).sum().backward()
    assert np.allclose(movement.scores({})["weight"], expected, rtol=1e-3, atol=1e-4)
