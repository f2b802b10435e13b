"""CIFAR-10 as peers are fed with it: what `data.images` of examples/cifar feeds, without makeweight."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CALIBRATED = 256
"""As many as the example's `calibration` has."""
SEED = 0
Pixels = NDArray[np.float32]


def read(split: Path) -> tuple[Pixels, NDArray[np.int64]]:
    """Every picture of a split: pixels from 0 to 1 [n, 3, 32, 32], and the class [n], by the order of the folders."""
    files = _files(split)
    return np.stack([_pixels(path) for path, _ in files]), np.array([number for _, number in files])


def calibration(data: Path, batch: int = 32) -> Iterator[Pixels]:
    """Some of the training split, drawn by a seed."""
    files = _files(data / "train")
    drawn = np.random.default_rng(SEED).permutation(len(files))[:CALIBRATED]
    for at in range(0, CALIBRATED, batch):
        yield np.stack([_pixels(files[number][0]) for number in drawn[at : at + batch]])


def _files(split: Path) -> list[tuple[Path, int]]:
    classes = sorted(path for path in split.iterdir() if path.is_dir())
    return [(path, number) for number, each in enumerate(classes) for path in sorted(each.glob("*.jpg"))]


def _pixels(path: Path) -> Any:
    return np.asarray(Image.open(path).convert("RGB"), dtype=np.float32).transpose(2, 0, 1) / 255
