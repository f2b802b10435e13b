"""Examples as tensors, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.artifact.feeds import fit
from makeweight.artifact.ports import Feeds, Port
from makeweight.compress import accelerator
from makeweight.config.settings import TaskSettings
from makeweight.measure.inference import at_once
from makeweight.user.split import Batch as Read
from makeweight.user.split import Change, Split

Tensors = dict[str, Any]
"""By input name."""
# Axes of a batch of them.
PICTURES = 4


@dataclass(frozen=True)
class Batch:
    """The examples of one step."""

    indices: Any
    """Their places in the split, shape [examples]."""
    inputs: Tensors
    targets: Any


@dataclass(frozen=True)
class Examples:
    """A split: inputs and targets.

    `ports`: the inputs of the module, of which some may be constants. `change`: what is done to a training batch when
    it is read. `labels`: whether targets are handed out; without them nothing can learn of any. `on`: the device that
    batches are put on. `channels_last`: how pictures lie in memory, see `channels_last.py`.
    """

    split: Split
    task: TaskSettings
    ports: Sequence[Port]
    change: Change | None = None
    labels: bool = True
    on: str = accelerator.CPU
    channels_last: bool = False

    def in_order(self) -> Iterator[Batch]:
        """All in order, as they are, in batches as evaluation asks for them: nothing is learnt of these."""
        return self.batches(at_once(self.split))

    def batches(self, size: int) -> Iterator[Batch]:
        """All in order, as they are."""
        return map(self._batch, self.split.batches(size))

    def epoch(self, size: int, seed: int, epoch: int) -> Iterator[Batch]:
        """All in an order of this epoch's own, changed; see `Split.epoch`."""
        return map(self._batch, self.split.epoch(size, seed, epoch, self.change))

    def _batch(self, read: Read) -> Batch:
        inputs = tensors(self.ports, read.inputs, int(read.numbers[0]))
        if self.channels_last:
            inputs = {name: _channels_last(values) for name, values in inputs.items()}
        targets = self._targets(read.targets) if self.labels else None
        return Batch(*(accelerator.moved(each, self.on) for each in (_tensor(read.numbers), inputs, targets)))

    def _targets(self, targets: NDArray[Any] | None) -> Any:
        if targets is not None and (self.task.kind == "regression" or targets.dtype == np.float64):
            targets = targets.astype(np.float32)
        if targets is not None and targets.dtype.hasobject:
            return [_tensors_of(each) for each in targets]
        return None if targets is None else _tensor(targets)


def tensors(ports: Sequence[Port], inputs: Feeds, first: int | None = None) -> Tensors:
    """All inputs of a module as tensors; floating point in the precision of the weights (float32).

    Args:
        first: the number of the first example, for errors.
    """
    return {
        name: _tensor(values.astype(np.float32) if values.dtype.kind == "f" else values)
        for name, values in fit(ports, inputs, first).items()
    }


def _tensors_of(target: Any) -> Any:
    """The target of one example that is no plain array: the boxes and labels of a detection."""
    if isinstance(target, Mapping):
        return {name: _tensors_of(part) for name, part in target.items()}
    values = np.asarray(target)
    if values.dtype.kind not in "fiub":
        return target
    return _tensor(values.astype(np.float32) if values.dtype == np.float64 else values)


def _channels_last(values: Any) -> Any:
    """What has channels, rows and columns; anything else as it is."""
    import torch

    return values.contiguous(memory_format=torch.channels_last) if values.dim() == PICTURES else values


def _tensor(values: NDArray[Any]) -> Any:
    import torch

    whole = np.asarray(values, order="C")
    return torch.from_numpy(whole if whole.flags.writeable else whole.copy())
