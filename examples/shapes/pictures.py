"""Pictures made by code: one to four circles, squares and triangles on a noisy ground, each with its box."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 48
CLASSES = ("circle", "square", "triangle")
SIZES = {"train": 2000, "validation": 200, "test": 400}
_SEEDS = {"train": 1, "validation": 2, "test": 3}
_SMALLEST, _LARGEST = 9, 21

Truth = dict[str, NDArray[Any]]
"""`boxes`, shape [objects, 4]: corners x1, y1, x2, y2 in pixels; `labels`, shape [objects]: indices of CLASSES."""


def load(split: str, count: int | None = None) -> list[tuple[NDArray[np.float32], Truth]]:
    """The pictures of one split, [1, 48, 48] from 0 to 1, each with what is in it: the same at every call.

    Args:
        count: how many, instead of all that the split has.
    """
    rng = np.random.default_rng(_SEEDS[split])
    return [_picture(rng) for _ in range(SIZES[split] if count is None else count)]


def _picture(rng: np.random.Generator) -> tuple[NDArray[np.float32], Truth]:
    pixels = rng.normal(0.3, 0.06, (SIDE, SIDE))
    boxes: list[list[int]] = []
    labels: list[int] = []
    wanted = rng.integers(1, 5)
    for _ in range(20):
        if len(boxes) == wanted:
            break
        size = int(rng.integers(_SMALLEST, _LARGEST))
        left, top = (int(corner) for corner in rng.integers(0, SIDE - size, 2))
        box = [left, top, left + size, top + size]
        if any(_overlap(box, other) for other in boxes):
            continue
        labels.append(int(rng.integers(len(CLASSES))))
        boxes.append(box)
        part = pixels[top : top + size, left : left + size]
        part[_inside(CLASSES[labels[-1]], size)] += rng.uniform(0.25, 0.6)
    image = np.clip(pixels, 0, 1)[None].astype(np.float32)
    return image, {"boxes": np.array(boxes, np.float32), "labels": np.array(labels, np.int64)}


def _overlap(box: list[int], other: list[int]) -> bool:
    return all(box[axis] < other[axis + 2] and other[axis] < box[axis + 2] for axis in (0, 1))


def _inside(shape: str, size: int) -> NDArray[np.bool_]:
    """Which pixels of a box its shape covers."""
    rows, columns = (np.indices((size, size)) + 0.5) / size
    if shape == "circle":
        covered = (rows - 0.5) ** 2 + (columns - 0.5) ** 2 <= 0.25
    elif shape == "square":
        covered = np.ones((size, size), dtype=bool)
    else:
        covered = np.abs(columns - 0.5) <= rows / 2
    return np.asarray(covered)
