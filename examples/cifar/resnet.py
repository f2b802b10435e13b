"""ResNet-8, the image model of MLPerf Tiny (https://arxiv.org/abs/2106.07597): 78 thousand parameters, 12.5 MMAC."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def build() -> nn.Module:
    """The network, untrained: images [n, 3, 32, 32], pixels from 0 to 1, to the scores of ten classes [n, 10]."""
    return nn.Sequential(
        convolution(3, 16),
        nn.ReLU(),
        Residual(16, 16),
        Residual(16, 32, stride=2),
        Residual(32, 64, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


class Residual(nn.Module):
    """Two convolutions whose result is added to what came in, which a third one brings to their shape if need be."""

    def __init__(self, inputs: int, outputs: int, inner: int | None = None, stride: int = 1) -> None:
        super().__init__()
        between = inner or outputs
        self.body = nn.Sequential(convolution(inputs, between, stride=stride), nn.ReLU(), convolution(between, outputs))
        same = inputs == outputs and stride == 1
        self.around = nn.Identity() if same else convolution(inputs, outputs, size=1, stride=stride)

    def forward(self, images: Tensor) -> Tensor:
        return torch.relu(self.around(images) + self.body(images))


def convolution(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False), nn.BatchNorm2d(outputs)
    )
