"""Normalizations over channels: with fewer of these, they take their statistics of those that are left."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

# The largest difference between two answers of a normalization that still counts as rounding, and as its epsilon.
_TOLERANCE = 1e-3


def axis(whole: Any, narrowed: Any, kept: Any) -> int | None:
    """The axis that a layer takes its statistics over; None: it takes none over channels.

    One that is written by hand, or descends from one of PyTorch's and turns its input around (ConvNeXt's), is told by
    what it does: its answer does not grow with its input, and channels that are left are answered as before where the
    others are spread as they are.

    Args:
        narrowed: the same layer with fewer channels.
        kept: which of the channels those are, as a tensor.
    """
    from torch import nn

    known = -1 if isinstance(whole, nn.LayerNorm | nn.RMSNorm) else 1 if isinstance(whole, nn.GroupNorm) else None
    channels = {each.numel() for each in whole.parameters()}
    if type(whole).__module__.startswith("torch.") or any(whole.children()) or len(channels) != 1:
        return known
    count = channels.pop()
    return next((each for each in (-1, 1) if _normalizes(whole, narrowed, kept, count, each)), known)


def over_kept(narrowed: Any, kept: Any, axis: int) -> Any:
    """A normalization of the channels that are left: what is zero must not count in its statistics."""
    import torch
    from torch import nn

    class OverKept(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.narrowed = copy.deepcopy(narrowed)

        def forward(self, values: Any) -> Any:
            normalized = self.narrowed(values.index_select(axis, kept))
            return torch.zeros_like(values).index_copy(axis, kept, normalized)

    return OverKept()


def pruners() -> Mapping[Any, Any]:
    """What Torch-Pruning is told of layers that it does not know, by their kind."""
    import torch_pruning
    from torch import nn

    class OfRMSNorm(torch_pruning.pruner.function.BasePruningFunc):  # type: ignore[misc]
        TARGET_MODULES = nn.RMSNorm

        def prune_out_channels(self, layer: Any, idxs: Any) -> Any:
            gone = set(idxs)
            kept = [channel for channel in range(layer.normalized_shape[-1]) if channel not in gone]
            if layer.weight is not None:
                layer.weight = self._prune_parameter_and_grad(layer.weight, kept, -1)
            layer.normalized_shape = (*layer.normalized_shape[:-1], len(kept))
            return layer

        prune_in_channels = prune_out_channels

        def get_out_channels(self, layer: Any) -> int:
            return int(layer.normalized_shape[-1])

        get_in_channels = get_out_channels

    return {nn.RMSNorm: OfRMSNorm()}


def _normalizes(whole: Any, narrowed: Any, kept: Any, channels: int, axis: int) -> bool:
    import torch

    drawn = torch.Generator().manual_seed(0)
    gone = torch.tensor([channel for channel in range(channels) if channel not in set(kept.tolist())])
    if len(kept) < 2 or len(gone) < 2:  # a single channel cannot have the mean and the spread of the others
        return False
    values = torch.empty(6, channels)
    for row in values:
        row[kept], row[gone] = _spread(len(kept), drawn), _spread(len(gone), drawn)
    values = values.reshape(2, 3, channels) if axis == -1 else values.T.reshape(channels, 2, 1, 3).transpose(0, 1)
    try:
        with torch.no_grad():
            answer, larger = whole(values), whole(3 * values)
            left = narrowed(values.index_select(axis, kept))
    except Exception:  # noqa: BLE001 - what a module raises on values that are not its own tells that it is something else
        return False
    pairs = ((larger, answer), (left, answer.index_select(axis, kept)))
    return all(one.shape == other.shape and torch.allclose(one, other, 0, _TOLERANCE) for one, other in pairs)


def _spread(count: int, drawn: Any) -> Any:
    """Values of mean 0 and mean square 1 in some order."""
    import torch

    ends = [1.0, -1.0] * (count // 2)
    if count % 2:
        ends[-2:] = [1.5**0.5, 0.0, -(1.5**0.5)]
    return torch.tensor(ends)[torch.randperm(count, generator=drawn)]
