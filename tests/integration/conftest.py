"""A small project in a temporary folder, with user code of its own."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

import probing
from made_once import made_once
from makeweight.artifact import artifact
from makeweight.project.project import Project
from makeweight.project.reading import understand
from makeweight_base.progress import Silent

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
    """`small_project` in the test's folder."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    return partial(small_project, tmp_path)


def small_project(
    folder: Path,
    more: str = "variants: {int8: {steps: [quantize]}}",
    *,
    code: str = "",
    config: str = CONFIG,
    weights: bool = True,
) -> Project:
    """Write user code and weights into a folder that is then imported from; the project that the rest of the
    configuration gives.

    `code` is added to the user's module, `config` stands for the whole configuration.
    """
    import importlib

    import torch

    name = f"tiny_user_{next(_NUMBERS)}"
    (folder / f"{name}.py").write_text(USER_CODE + code)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    if weights:
        torch.save(importlib.import_module(name).build().state_dict(), folder / "weights.pt")
    return understand(config.format(module=name, more=more), "makeweight.yaml", folder)


@pytest.fixture(scope="session")
def small_baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifact of the small project's baseline: exporting takes a second, so it is done once."""
    from makeweight.compress.baseline import write_baseline

    def export(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "path", list(sys.path))
            project = small_project(tmp_path_factory.mktemp("small"))
            artifact.write(folder, write_baseline(project.declared, folder, Silent()))

    return made_once(tmp_path_factory, "small-baseline", export)


@pytest.fixture(scope="module")
def short_tails() -> Iterator[None]:
    """Where no rule is about a tail, a benchmark does not spend a second of each process on one for the picture."""
    from makeweight.verbs import benchmark

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark, "TAIL_SECONDS", 0.1)
        yield


@pytest.fixture(scope="module")
def probed_here() -> Iterator[None]:
    """What the probe is asked on this machine is answered by this process, where another one is not what is tested."""
    with probing.here():
        yield


@pytest.fixture
def preloaded_dvc(preloaded_commands: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is called here begins DVC as a fork of one process that has imported it."""
    from makeweight.ci import dvc
    from makeweight.starter import repository

    _, *options = repository.DVC
    for user in (dvc, repository):
        monkeypatch.setattr(user, "DVC", (str(preloaded_commands / "python3"), *options))
