"""Layers that change channels by buffers alone, one by one, as a batch normalization does whose statistics and factors
are frozen (torchvision's and DETR's): Torch-Pruning looks for what learns, and leaves their buffers as long as before.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

# Of what such a layer may be given, how many axes there are and which has the channels.
_GIVEN = ((4, 1), (3, 1), (3, -1))


def pruners(module: Any) -> Mapping[Any, Any]:
    """What Torch-Pruning is told of such layers of a module, by their class: all of it are seen to be such. None is
    changed that `follow` has not found to be of channels."""
    import torch
    import torch_pruning

    class OfBuffers(torch_pruning.pruner.function.BasePruningFunc):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.of_channels: set[Any] = set()

        def prune_out_channels(self, layer: Any, idxs: Any) -> Any:
            if layer in self.of_channels:
                gone = set(idxs)
                _keep(layer, torch.tensor([each for each in range(_width(layer)) if each not in gone]))
            return layer

        prune_in_channels = prune_out_channels

        def get_out_channels(self, layer: Any) -> None:
            """Those of what is before it, or after."""

        get_in_channels = get_out_channels

    able: dict[Any, bool] = {}
    for part in module.modules():
        kind = type(part)
        if not kind.__module__.startswith("torch.") and _width(part) > 1:
            able[kind] = able.get(kind, True) and _by_channel(part)
    pruner = OfBuffers()
    return {kind: pruner for kind, each in able.items() if each}


def follow(graph: Any) -> None:
    """Have Torch-Pruning know which of these layers are as long as there are channels where they are called, in place:
    others change places one by one, as a window over time does."""
    from torch_pruning.dependency import shape_infer

    for node in graph.module2node.values():
        found = getattr(graph.CUSTOMIZED_PRUNERS.get(type(node.module)), "of_channels", None)
        if found is not None and _width(node.module) in (
            shape_infer.infer_out_channels_recursively(graph, node, [0]),
            shape_infer.infer_in_channels_recursively(graph, node, [0]),
        ):
            found.add(node.module)


def _width(part: Any) -> int:
    """How many channels the buffers of a layer are of that has nothing else; 0: it is none."""
    if any(part.children()) or any(True for _ in part.parameters()):
        return 0
    sizes = {(each.numel(), max(each.shape, default=0)) for _, each in _buffers(part)}
    count, longest = sizes.pop() if len(sizes) == 1 else (0, 0)
    return count if count == longest else 0


def _buffers(part: Any) -> Iterator[tuple[str, Any]]:
    """Those of more than one number; others are of no channel."""
    return ((name, each) for name, each in part.named_buffers() if each.is_floating_point() and each.numel() > 1)


def _keep(part: Any, kept: Any) -> None:
    for name, values in list(_buffers(part)):
        setattr(part, name, values.index_select(values.shape.index(max(values.shape)), kept))


def _by_channel(part: Any) -> bool:
    """Whether a layer answers for the channels that are left as it did for them among all."""
    import torch

    width, drawn = _width(part), torch.Generator().manual_seed(0)
    kept = torch.arange(0, width, 2)
    # it may change what it keeps when it is called, and channels are followed as they are in inference
    asked, narrowed = copy.deepcopy(part).eval(), copy.deepcopy(part).eval()
    _keep(narrowed, kept)

    def alike(axes: int, axis: int) -> bool:
        shape = [2] + [3] * (axes - 1)
        shape[axis] = width
        values = torch.randn(shape, generator=drawn)
        try:
            with torch.no_grad():
                whole, left = asked(values), narrowed(values.index_select(axis, kept))
            # of one that hands on what it is given, autograd sees nothing but the layer before
            if whole is values or whole.shape != values.shape:
                return False
            return bool(torch.allclose(left, whole.index_select(axis, kept)))
        except Exception:  # noqa: BLE001 - what a module raises on values that are not its own tells that it is another
            return False

    return any(alike(axes, axis) for axes, axis in _GIVEN)
