"""What learns of the ResNet-8 in its place: 54 thousand parameters, fast in 8 bits.

No layer but the first works at the whole resolution, where there are too few channels to fill a product of integers.
What that frees is spent on one more block at the lowest one, whose inner layers are narrow.
"""

from __future__ import annotations

from pathlib import Path

import torch
from resnet import Residual, convolution
from torch import nn

BASELINE = Path(__file__).parent / "models/baseline.pt"
# The student's parts, and which of the baseline's they begin as.
PARTS = {0: 0, 2: 3, 3: 4, 7: 7}


def build() -> nn.Module:
    """The student: images [n, 3, 32, 32], pixels from 0 to 1, to the scores of ten classes [n, 10].

    What it has in common with the baseline it has from there, as many channels as it has itself; the block that it has
    more changes nothing before it is trained.
    """
    more = Residual(48, 48, inner=16)
    student = nn.Sequential(
        convolution(3, 16),
        nn.ReLU(),
        Residual(16, 32, stride=2),
        Residual(32, 48, inner=32, stride=2),
        more,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(48, 10),
    )
    learnt = torch.load(BASELINE, map_location="cpu", weights_only=True)
    for number, of_baseline in PARTS.items():
        for name, values in student[number].state_dict().items():
            values.copy_(learnt[f"{of_baseline}.{name}"][tuple(map(slice, values.shape))])
    nn.init.zeros_(more.body[2][1].weight)
    return student
