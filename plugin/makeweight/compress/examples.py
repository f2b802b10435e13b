"""Examples as tensors, whole and by batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.artifact.ports import Feeds
from makeweight.config.settings import TaskSettings
from makeweight.user.dataset import Dataset

Tensors = dict[str, Any]
"""Examples by input name, first size first."""


@dataclass(frozen=True)
class Batch:
    """The examples of one step."""

    indices: Any
    """Their places in the split, shape [examples]."""
    inputs: Tensors
    targets: Any


@dataclass(frozen=True)
class Examples:
    """A split: inputs and targets."""

    inputs: Tensors
    targets: Any

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, indices: Any) -> Batch:
        return Batch(indices, part(self.inputs, indices), self.targets[indices])


def examples(data: Dataset, task: TaskSettings) -> Examples:
    targets = data.targets
    if task.kind == "regression" or targets.dtype == np.float64:
        targets = targets.astype(np.float32)
    return Examples(tensors(dict(data.inputs)), _tensor(targets))


def tensors(inputs: Feeds) -> Tensors:
    """Arrays as tensors; floating point in the precision of the weights (float32)."""
    return {
        name: _tensor(values.astype(np.float32) if values.dtype.kind == "f" else values)
        for name, values in inputs.items()
    }


def part(inputs: Tensors, indices: Any) -> Tensors:
    """Some of the examples."""
    return {name: values[indices] for name, values in inputs.items()}


def _tensor(values: NDArray[Any]) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(values))
