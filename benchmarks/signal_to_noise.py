"""How much noise int8 leaves in the answers of healthy networks, in dB by output: what the floor has to stand clear of.

Untrained perceptrons, convolutional networks and transformers, since their answers hardly differ between examples and
so are hardest on a floor; each static by channel, static by tensor, and dynamic. Target: all at least twice the floor.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from makeweight.artifact.model import Model
from makeweight.compress.trial import FLOOR_DECIBELS
from makeweight.measure import samples
from makeweight.runtimes.format import FLOAT32, Format, Numbers
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.runtimes.runtime import Program
from makeweight.user.arrays import Arrays
from makeweight.user.split import Split
from makeweight_probe import answers
from makeweight_probe.job import AnswersJob
from makeweight_probe.job import Model as Asked

EXAMPLES = 64
METHODS = {
    "static by channel": Format(Numbers("int8", "channel"), Numbers("int8"), "static", "minmax"),
    "static by tensor": Format(Numbers("int8", "tensor"), Numbers("int8"), "static", "minmax"),
    "dynamic": Format(Numbers("int8", "channel"), Numbers("int8"), "dynamic", None),
}


class Attention(nn.Module):  # type: ignore[misc]
    def __init__(self, layers: int, first: bool) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(32, 4, 64, 0.0, "gelu", batch_first=True, norm_first=first)
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(32, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.head(self.layers(x).mean(1))
        return answer


def perceptron(depth: int, act: type[nn.Module]) -> nn.Module:
    inner = [part for _ in range(depth) for part in (nn.Linear(32, 32), act())]
    return nn.Sequential(nn.Linear(16, 32), act(), *inner, nn.Linear(32, 5))


def convolutional(depth: int, act: type[nn.Module]) -> nn.Module:
    inner = [
        part
        for number in range(depth)
        for part in (nn.Conv2d(16, 16, 3, padding=1, groups=16 if number % 2 else 1), nn.BatchNorm2d(16), act())
    ]
    end = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5))
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), act(), *inner, *end)


def networks() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """By name, each with the shape of an example."""
    torch.manual_seed(0)
    found: dict[str, tuple[nn.Module, tuple[int, ...]]] = {}
    for depth in (2, 8, 24):
        for act in (nn.ReLU, nn.Tanh, nn.GELU, nn.Hardswish):
            found[f"perceptron, {depth} layers, {act.__name__}"] = (perceptron(depth, act), (16,))
    for depth in (2, 8, 16):
        for act in (nn.ReLU, nn.ReLU6, nn.SiLU):
            found[f"convolutional, {depth} layers, {act.__name__}"] = (convolutional(depth, act), (3, 12, 12))
    for layers in (2, 6):
        for first in (True, False):
            name = f"transformer, {layers} layers, norm {'first' if first else 'last'}"
            found[name] = (Attention(layers, first), (10, 32))
    for module in (part for network, _ in found.values() for part in network.modules()):
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None and module.running_var is not None:
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.3, 3)
            module.weight.data.uniform_(0.3, 2)
            module.bias.data.normal_()
    return found


def decibels(made: Model, floating: Model, examples: NDArray[np.float32], folder: Path) -> float:
    """Signal to noise of the one output, asked one example at a time."""
    fed = folder / "inputs.npz"
    samples.store(fed, [{"x": example[None]} for example in examples])
    own, reference = (Asked("onnxruntime", str(each.folder / each.files[0].name), 1) for each in (made, floating))
    (value,) = answers.ask(AnswersJob(own, reference, str(fed), None, None)).facts["decibels"]
    return float(value)


def main() -> None:
    torch.set_num_threads(1)
    runtime, found = OnnxRuntime(), []
    for name, (network, shape) in networks().items():
        network.eval()
        examples = np.random.default_rng(0).standard_normal((2 * EXAMPLES, *shape)).astype(np.float32)
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            program = Program(network, {"x": ("N", *shape)}, {"x": examples[:2]})
            floating = runtime.lower(program, FLOAT32, None, folder / "float32.onnx")
            calibration = Split("calibration", Arrays({"x": examples}, None))
            told = []
            for method, how in METHODS.items():
                made = runtime.lower(floating, how, calibration, folder / "int8.onnx")
                found.append(decibels(made, floating, examples[:EXAMPLES], folder))
                told.append(f"{method} {found[-1]:.0f} dB")
        print(f"{name:40} {', '.join(told)}", flush=True)
    kept = "kept  " if min(found) >= 2 * FLOOR_DECIBELS else "BROKEN"
    print(f"{kept} healthy int8: {min(found):.0f} to {max(found):.0f} dB, the floor is {FLOOR_DECIBELS:g} dB")


if __name__ == "__main__":
    main()
