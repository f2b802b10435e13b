"""The UCI handwritten digits that come with scikit-learn: 1797 grey images of 8 x 8, from 43 people.

Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998,
https://doi.org/10.24432/C50P49
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SEED = 20240229
# How many images each split holds; what is left, 997 of 1797, is for training.
SIZES = {"test": 500, "validation": 300}
LIGHT, HEAVY = "light ink", "heavy ink"


def load(split: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The images of one split (`train`, `validation`, `test`) and the digits they show.

    Returns:
        images of shape [n, 1, 8, 8], 0 is paper and 1 is ink, and digits of shape [n].
    """
    pixels, digits = _read()
    chosen = _splits(digits)[split]
    images = (pixels[chosen] / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    return images, digits[chosen]


def slices(split: str) -> list[str]:
    """For each image, whether it has more ink than the median image of the train split: a thin pen, or a thick one."""
    median = np.median(_ink(load("train")[0]))
    return [HEAVY if ink > median else LIGHT for ink in _ink(load(split)[0])]


def _read() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """All images of shape [1797, 64], from 0 to 16, and their digits.

    As `sklearn.datasets.load_digits` gives them, read from its file: importing that takes far longer than reading, in
    each process that loads data.
    """
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("the digits come with scikit-learn, which is not installed: pip install scikit-learn")
    table = np.loadtxt(Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")
    return table[:, :-1], table[:, -1].astype(np.int64)


def _ink(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """The inked part of each image."""
    ink: NDArray[np.float32] = images.mean(axis=(1, 2, 3))
    return ink


def _splits(digits: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Indices by split, the same at every call; every digit has its share of each split, as near as can be."""
    rng = np.random.default_rng(SEED)
    order = rng.permutation(len(digits))
    # Taking every split evenly from the images sorted by digit gives each digit its share.
    ranked = order[np.argsort(digits[order], kind="stable")]
    free = np.ones(len(digits), dtype=bool)
    splits: dict[str, NDArray[np.int64]] = {}
    for name, size in SIZES.items():
        left = np.flatnonzero(free)
        taken = left[(np.arange(size) * len(left)) // size]
        free[taken] = False
        splits[name] = np.sort(ranked[taken])
    splits["train"] = np.sort(ranked[free])
    return splits
