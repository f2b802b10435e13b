"""A small residual network (He et al., 2015, https://arxiv.org/abs/1512.03385): 0.59 M parameters, 19 MMAC."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def build() -> nn.Module:
    """The network, untrained: images [n, 1, 8, 8] to the scores of ten digits [n, 10]."""
    return nn.Sequential(
        _convolution(1, 64),
        nn.ReLU(),
        Residual(64),
        Residual(64),
        Residual(64),
        _convolution(64, 128, stride=2),
        nn.ReLU(),
        Residual(128),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(128, 10),
    )


class Residual(nn.Module):
    """Two convolutions whose result is added to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_convolution(channels, channels), nn.ReLU(), _convolution(channels, channels))

    def forward(self, images: Tensor) -> Tensor:
        return torch.relu(images + self.body(images))


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outputs)
    )
