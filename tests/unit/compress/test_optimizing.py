"""Steps of the optimizer against their formulas, and the moving average against its recursion."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import nn

from makeweight.compress.optimizing import Averaged, Optimizer
from makeweight.compress.training_options import TrainingOptions

STEPS, RATE = 20, 0.1


def _cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * part))


def _rates(schedule: str) -> list[float]:
    if schedule == "cosine":
        return [_cosine(RATE, 0, step / STEPS) for step in range(STEPS)]
    top = 0.3 * (STEPS + 1) - 1
    return [
        _cosine(RATE / 25, RATE, step / top)
        if step <= top
        else _cosine(RATE, RATE / 25e4, (step - top) / (STEPS - top))
        for step in range(STEPS)
    ]


def _moved(options: TrainingOptions, slope: Sequence[float], steps: int) -> list[np.ndarray]:
    """Where weights that begin at 1 go on a plane of that slope."""
    weights = nn.Parameter(torch.ones(len(slope), dtype=torch.float64))
    optimizer, seen = Optimizer([weights], options, STEPS), []
    for _ in range(steps):
        optimizer.step((weights * torch.tensor(slope)).sum())
        seen.append(weights.detach().numpy().copy())
    return seen


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_sgd_with_nesterovs_momentum(schedule: str) -> None:
    options = TrainingOptions(optimizer="sgd", schedule=schedule, lr=RATE, weight_decay=0.05)  # type: ignore[arg-type]
    place, speed = np.ones(2), np.zeros(2)
    wanted = []
    for rate in _rates(schedule):
        gradient = np.array([2.0, -1.0]) + 0.05 * place
        speed = gradient if not wanted else 0.9 * speed + gradient
        place = place - rate * (gradient + 0.9 * speed)
        wanted.append(place)
    assert np.allclose(_moved(options, [2.0, -1.0], STEPS), wanted)


def test_adamw_decays_weights_apart_from_the_gradient() -> None:
    (first,) = _moved(TrainingOptions(lr=RATE, weight_decay=0.5), [7.0, -0.01], 1)
    assert np.allclose(first, (1 - RATE * 0.5) - RATE * np.array([1, -1]), atol=1e-6)


@pytest.mark.parametrize(("slope", "kept"), [([3.0, 4.0], 0.5), ([0.03, 0.04], 1.0)], ids=["long", "short"])
def test_gradients_are_cut_to_their_common_length(slope: list[float], kept: float) -> None:
    options = TrainingOptions(optimizer="sgd", lr=RATE, weight_decay=0, clip=2.5)
    (first,) = _moved(options, slope, 1)
    assert np.allclose(first, 1 - RATE * 1.9 * kept * np.array(slope), atol=1e-5)


def test_complex_weights_are_averaged_too() -> None:
    module = nn.Module()
    module.weight = nn.Parameter(torch.tensor([0j]))
    averaged = Averaged(module, 0.5)
    with torch.no_grad():
        module.weight.fill_(10 + 20j)
    averaged.after_step()
    averaged.keep()
    assert module.weight.item() == pytest.approx(9 + 18j)  # of the first step a tenth is what it began with


def test_the_average_follows_its_recursion_and_is_only_lent() -> None:
    module = nn.BatchNorm1d(1)
    averaged, kept, rng = Averaged(module, 0.5), 1.0, np.random.default_rng(0)
    for step in range(12):
        drawn = float(rng.standard_normal())
        module.weight.data.fill_(drawn)
        module.num_batches_tracked.fill_(step)  # type: ignore[operator]
        averaged.after_step()
        old = min(0.5, (1 + step) / (10 + step))
        kept = old * kept + (1 - old) * drawn
    with averaged.put_in():
        assert float(module.weight.detach()) == pytest.approx(kept, rel=1e-5)
        assert int(module.num_batches_tracked) == 11  # type: ignore[arg-type]
    assert float(module.weight.detach()) == pytest.approx(drawn)
    averaged.keep()
    assert float(module.weight.detach()) == pytest.approx(kept, rel=1e-5)


def test_of_what_cannot_be_averaged_the_last_is_kept() -> None:
    class Keeping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.seen = nn.Parameter(torch.zeros(1)), 0
            self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))

        def get_extra_state(self) -> dict[str, int]:
            return {"seen": self.seen}

        def set_extra_state(self, state: dict[str, int]) -> None:
            self.seen = state["seen"]

    module = Keeping()
    averaged = Averaged(module, 0.5)
    module.seen = 7
    with torch.no_grad():
        module.weight.fill_(10)
    averaged.after_step()
    module.seen = 8
    with averaged.put_in():
        assert module.seen == 7
        assert module.weight.item() == pytest.approx(9)
        assert module.mask.tolist() == [0, -torch.inf]  # type: ignore[operator]
    assert (module.seen, module.weight.item()) == (8, 10)
