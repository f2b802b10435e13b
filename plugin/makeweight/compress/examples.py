"""Examples as tensors, whole and by batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.artifact.ports import Feeds
from makeweight.config.settings import TaskSettings
from makeweight.user.dataset import Dataset


@dataclass(frozen=True)
class Batch:
    """The examples of one step."""

    indices: Any
    """Their places in the split, shape [examples]."""
    inputs: tuple[Any, ...]
    targets: Any


@dataclass(frozen=True)
class Examples:
    """A split: inputs in the order in which the module takes them, and targets."""

    inputs: tuple[Any, ...]
    targets: Any

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, indices: Any) -> Batch:
        return Batch(indices, tuple(values[indices] for values in self.inputs), self.targets[indices])


def examples(data: Dataset, task: TaskSettings) -> Examples:
    targets = data.targets
    if task.kind == "regression" or targets.dtype == np.float64:
        targets = targets.astype(np.float32)
    return Examples(tensors(dict(data.inputs)), _tensor(targets))


def tensors(inputs: Feeds) -> tuple[Any, ...]:
    """Arrays as tensors, in the order of the inputs; floating point in the precision of the weights (float32)."""
    return tuple(
        _tensor(values.astype(np.float32) if values.dtype.kind == "f" else values) for values in inputs.values()
    )


def _tensor(values: NDArray[Any]) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(values))
