"""Real samples for the probe: a few examples of a split, stored as the model takes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.artifact.ports import Feeds, Port, batch_size, fit
from makeweight.user.dataset import Dataset
from makeweight_base.atomic import replacing

COUNT = 64


def write(path: Path, inputs: Sequence[Port], dataset: Dataset, seed: int) -> None:
    """Store up to `COUNT` examples (in whole batches, if the model's is fixed), drawn with the seed."""
    size = batch_size(inputs) or 1
    wanted = max(size, COUNT // size * size)
    rng = np.random.default_rng(seed)
    drawn = rng.choice(len(dataset), wanted, replace=wanted > len(dataset))
    chosen = dataset.take(drawn)
    store(path, [fit(inputs, feeds) for feeds in chosen.batches(size)])


def store(path: Path, samples: list[Feeds]) -> None:
    """Store what the probe feeds a model with, one inference after the other."""
    arrays: dict[str, Any] = {
        f"{index}:{name}": values for index, feeds in enumerate(samples) for name, values in feeds.items()
    }
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def made_up(inputs: Sequence[Port], seed: int) -> list[Feeds]:
    """Inputs for a model that comes without data: normal numbers for floats, zeros and ones for the rest.

    Free sizes beyond the batch are set to 1. Timing hardly depends on values in dense nets; where it does (sparse
    embeddings, early exits), real samples are the answer.
    """
    rng = np.random.default_rng(seed)

    def one(shape: tuple[int | str | None, ...], dtype: str) -> NDArray[Any]:
        sizes = [size if isinstance(size, int) else 1 for size in shape]
        kind = np.dtype(dtype or "float32")
        values = rng.standard_normal(sizes) if kind.kind == "f" else rng.integers(0, 2, sizes)
        return np.asarray(values).astype(kind)

    return [{port.name: one(port.shape, port.dtype) for port in inputs} for _ in range(8)]
