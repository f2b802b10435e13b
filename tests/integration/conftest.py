"""A small project in a temporary folder, with user code of its own."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from makeweight.project.project import Project
from makeweight.project.reading import understand

# Modules stay imported for the whole test run, so each project's code gets a name of its own.
_NUMBERS = itertools.count()

USER_CODE = '''
import numpy as np
import torch
from torch import nn

SIZES = {"train": 96, "validation": 48, "test": 48}


def build():
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 48, 3, padding=1, stride=2, bias=False), nn.BatchNorm2d(48), nn.ReLU(),
        nn.Conv2d(48, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 3),
    )


def load(split):
    """Three classes: a bright row, a bright column, or neither, in noise."""
    rng = np.random.default_rng(list(SIZES).index(split))
    images = rng.normal(0, 0.3, (SIZES[split], 1, 6, 6)).astype(np.float32)
    targets = np.arange(SIZES[split]) % 3
    for image, target in zip(images, targets):
        place = rng.integers(6)
        if target == 0:
            image[0, place] += 2
        elif target == 1:
            image[0, :, place] += 2
    return images, targets
'''

CONFIG = """
name: tiny
model: {{build: "{module}:build", weights: weights.pt, inputs: {{image: [N, 1, 6, 6]}}}}
data: {{load: "{module}:load", calibration: {{samples: 64}}}}
{more}
budget: {{size: {{max: 1 MB}}}}
"""

Maker = Callable[..., Project]


@pytest.fixture
def make_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maker:
    """Write user code and weights into the test's folder; the project that the rest of the configuration gives.

    `code` is added to the user's module, `config` stands for the whole configuration.
    """
    monkeypatch.setattr(sys, "path", list(sys.path))

    def make(
        more: str = "variants: {int8: {steps: [quantize]}}",
        *,
        code: str = "",
        config: str = CONFIG,
        weights: bool = True,
    ) -> Project:
        import importlib

        import torch

        name = f"tiny_user_{next(_NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(USER_CODE + code)
        sys.path.insert(0, str(tmp_path))
        importlib.invalidate_caches()
        if weights:
            torch.save(importlib.import_module(name).build().state_dict(), tmp_path / "weights.pt")
        return understand(config.format(module=name, more=more), "makeweight.yaml", tmp_path)

    return make
