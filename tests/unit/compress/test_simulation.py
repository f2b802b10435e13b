"""Rounding in training, by numpy: integers as a file would have them, and what its ranges learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from makeweight.compress.simulation import Simulation
from makeweight.runtimes.calls import Call, visited
from makeweight.runtimes.integers import Constant, Integers, Range


class Net(nn.Module):
    """Its first call is the layer's."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Linear(3, 2, bias=False), nn.BatchNorm1d(2)

    def forward(self, rows: Any) -> Any:
        return self.norm(self.layer(rows)).relu_()


def _simulated(net: nn.Module, rows: Any, **told: Any) -> Any:
    integers = Integers(**{"ranges": {}, "calls": {}, "products": {}, "constants": {}, **told})
    return Simulation(net, integers, {"rows": rows}, None)


def test_numbers_become_the_nearest_step_within_the_range_and_its_ends_learn_from_what_they_cut_off() -> None:
    net, rows = Net().eval(), torch.tensor([[-3.0, 0.26, 0.5], [0.74, 1.9, 9.0]])
    net.forward = lambda rows: rows * 1  # type: ignore[method-assign, assignment]
    told = {"/mul": Range(-1.0, 4.1)}  # steps of 0.02, zero is the 50th
    simulation = _simulated(net, rows, ranges=told, calls={"/mul": "/mul"})
    with simulation.running():
        answer = net(rows)
        given = torch.tensor([[5.0, 1.0, 1.0], [1.0, 1.0, 7.0]])
        (answer * given).sum().backward()
        learnt = net.quantization_ranges.grad.numpy()
    plain = rows.numpy()
    wanted = (np.clip(np.rint(plain / 0.02) + 50, 0, 255) - 50) * 0.02
    assert answer.detach().numpy() == pytest.approx(wanted, abs=1e-6)
    within = (plain > -1) & (plain < 4.1)
    stretch = ((wanted - plain)[within] / 5.1).sum()
    # the ends are factors of where they began, so their gradients are multiplied by it; three values an example
    ends = np.array([-1.0 * (5 - stretch), 4.1 * (7 + stretch)]) / np.sqrt(3 * 255)
    assert learnt[0] == pytest.approx(ends, rel=1e-3)


def test_a_single_number_is_rounded_as_many_are() -> None:
    net, rows = Net().eval(), torch.tensor([[1.0, 0.291, 0.5]])
    net.forward = lambda rows: rows.mean()  # type: ignore[method-assign, assignment]
    simulation = _simulated(net, rows, ranges={"/mean": Range(-1.0, 4.1)}, calls={"/mean": "/mean"})
    with simulation.running():
        assert float(net(rows).detach()) == pytest.approx(np.rint(0.597 / 0.02) * 0.02, abs=1e-6)


def test_the_weights_of_a_product_are_rounded_as_folded_with_the_normalization_behind_it() -> None:
    torch.manual_seed(0)
    net, rows = Net(), torch.randn(8, 3)
    nn.init.uniform_(net.norm.weight, 0.2, 3)
    net.norm.running_var.uniform_(0.1, 4)  # type: ignore[union-attr, operator]
    net.eval()
    simulation = _simulated(net, rows, products={"/relu": True})
    assert list(simulation.weights) == ["layer/linear"]
    with simulation.running(), torch.no_grad():
        answer = net(rows).numpy()
    factor = (net.norm.weight / (net.norm.running_var + net.norm.eps).sqrt()).detach().numpy()  # type: ignore[operator]
    folded = net.layer.weight.detach().numpy() * factor[:, None]
    scale = np.abs(folded).max(1, keepdims=True) / 127
    wanted = rows.numpy() @ (np.rint(folded / scale) * scale).T + net.norm.bias.detach().numpy()
    assert answer == pytest.approx(np.maximum(wanted, 0), abs=1e-5)


def test_a_constant_of_unsigned_integers_spans_its_values_and_zero() -> None:
    net, rows = Net().eval(), torch.zeros(1, 3)
    shift = torch.tensor([1.0, 2.0, 5.1])
    net.forward = lambda rows: rows + shift  # type: ignore[method-assign, assignment]
    simulation = _simulated(net, rows, constants={"/add(1)": Constant(False, None)})
    with simulation.running():
        assert net(rows)[0].numpy() == pytest.approx(np.rint(shift.numpy() / 0.02) * 0.02, abs=1e-6)


def test_weights_that_something_else_reads_too_are_rounded_as_they_are_stored_for_both() -> None:
    net, rows = Net().eval(), torch.eye(3)
    net.forward = lambda rows: net.layer(rows)  # type: ignore[method-assign, assignment]
    with torch.no_grad():
        net.layer.weight.copy_(torch.tensor([[1.0, 2.0, 5.1], [0.3, 0.336, 0.0]]))
    told = {"products": {"layer/linear": False}, "constants": {"layer/linear(1)": Constant(False, None)}}
    with _simulated(net, rows, **told).running(), torch.no_grad():
        answer = net(rows).numpy().transpose()
    wanted = np.rint(net.layer.weight.detach().numpy() / 0.02) * 0.02
    assert answer == pytest.approx(wanted, abs=1e-6)


def test_the_bias_of_a_normalization_has_the_step_of_its_input_times_that_of_its_weights() -> None:
    norm, rows = nn.LayerNorm(3).eval(), torch.tensor([[1.0, 2.0, 5.1]])
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, -12.7, 3.0])), norm.bias.copy_(torch.tensor([0.0031, -1.0, 0.0069]))
    plain = norm(rows).detach().numpy()
    told = {"ranges": {"input:1": Range(0, 5.1)}, "calls": {"input:1": "input:1"}, "biases": {"/layer_norm": "input:1"}}
    with _simulated(norm, rows, **told).running(), torch.no_grad():
        answer = norm(rows).numpy()
    assert (answer - plain)[0] == pytest.approx([0.004 - 0.0031, 0, 0.006 - 0.0069], abs=2e-6)  # steps of 0.02 * 0.1


def test_a_constant_that_a_call_gives_is_rounded_too() -> None:
    net, rows = Net().eval(), torch.zeros(3, 3)
    table = nn.Embedding.from_pretrained(torch.tensor([[1.0, 2.0, 5.1], [0.3, 0.336, 0.0], [4.0, 0.0, 0.013]]))
    net.forward = lambda rows: rows + table(torch.arange(3))  # type: ignore[method-assign, assignment]
    simulation = _simulated(net, rows, constants={"/embedding": Constant(False, None)})
    with simulation.running():
        assert net(rows).numpy() == pytest.approx(np.rint(table.weight.numpy() / 0.02) * 0.02, abs=1e-6)


def test_calls_have_the_name_of_who_makes_them_and_one_of_training_alone_renames_no_other() -> None:
    class Often(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = nn.MultiheadAttention(4, 2, batch_first=True)

        def forward(self, rows: Any) -> Any:
            if self.training:
                rows = rows.mul(1)
            rows = rows + 1
            return self.block(rows, rows, rows)[0] + nn.functional.silu(rows)

    def names(net: Any) -> list[str]:
        seen: list[str] = []

        def note(call: Call) -> Any:
            seen.append(call.name)
            return call.result()

        with visited(net, note):
            net(torch.zeros(2, 3, 4))
        return seen

    net = Often()
    trained, asked = names(net), names(net.eval())
    assert set(trained) - set(asked) == {"/mul:2"}
    assert {"input:1", "/add", "/add:2", "/sigmoid", "/mul", "block/softmax", "block/linear"} <= set(asked)
    assert "forward" not in vars(net)
    assert not net.block._forward_hooks
