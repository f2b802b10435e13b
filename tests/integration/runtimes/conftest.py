"""A small convolutional network with a residual, and its ONNX file: exporting takes seconds, so it is done once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exact_products import exact_products
from made_once import made_once
from makeweight.artifact.ports import Feeds
from makeweight.runtimes.format import FLOAT32
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.runtimes.runtime import Program

__all__ = ["exact_products"]

INPUTS: dict[str, tuple[int | str, ...]] = {"image": ("N", 1, 8, 8)}


@pytest.fixture(scope="session")
def runtime() -> OnnxRuntime:
    return OnnxRuntime()


@pytest.fixture(scope="session")
def network() -> Any:
    import torch
    from torch import nn

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32))

        def forward(self, images: Any) -> Any:
            return torch.relu(images + self.body(images))

    torch.manual_seed(3)
    built = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        Residual(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )
    with torch.no_grad():  # statistics that are not those of an untrained network, so that folding them is seen
        for part in built.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.uniform_(-0.2, 0.2)
                part.running_var.uniform_(0.5, 2)
    return built.eval()


@pytest.fixture(scope="session")
def images() -> Feeds:
    return {"image": np.random.default_rng(0).random((96, 1, 8, 8), dtype=np.float32)}


@pytest.fixture(scope="session")
def answers(network: Any, images: Feeds) -> Any:
    import torch

    with torch.no_grad():
        return network(torch.from_numpy(images["image"])).numpy()


@pytest.fixture(scope="session")
def exported(
    request: pytest.FixtureRequest, runtime: OnnxRuntime, images: Feeds, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    def export(folder: Path) -> None:
        program = Program(request.getfixturevalue("network"), INPUTS, {"image": images["image"][:2]})
        runtime.lower(program, FLOAT32, None, folder / "model.onnx")

    return made_once(tmp_path_factory, "exported", export) / "model.onnx"
