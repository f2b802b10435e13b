"""Channels that are laid side by side with the places that each has, before a layer or a recurrence reads all of them
as one vector: the rows of a spectrogram, of which each channel has some.

Torch-Pruning follows them where no linear layer of the network answers with more axes than two; where one does, it
takes what is read for as many channels as there were before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from operator import mul
from typing import Any


def follow(graph: Any) -> None:
    """Have Torch-Pruning know which inputs of what follows are of one channel, in place."""
    from torch_pruning import ops
    from torch_pruning.dependency import shape_infer
    from torch_pruning.dependency.index_mapping import _FlattenIndexMapping

    if graph._2d_4d:
        return
    for node in graph.module2node.values():
        if node.type != ops.OPTYPE.RESHAPE:
            continue
        channels = _first(shape_infer.infer_out_channels_recursively, graph, node.inputs)
        read = _first(shape_infer.infer_in_channels_recursively, graph, node.outputs)
        places = _places(getattr(node.grad_fn, "_saved_self_sym_sizes", ()), channels, read)
        if places is None:
            continue
        for before in node.inputs:
            for dependency, back in (
                *((each, True) for each in node.dependencies if each.target is before),
                *((each, False) for each in before.dependencies if each.target is node),
            ):
                dependency.index_mapping[0] = _FlattenIndexMapping(stride=places, reverse=back)


def _first(infer: Callable[..., int | None], graph: Any, nodes: Sequence[Any]) -> int | None:
    return next((found for node in nodes if (found := infer(graph, node, [0])) is not None), None)


def _places(sizes: Sequence[int], channels: int | None, read: int | None) -> int | None:
    """How many inputs in a row are of one channel; None: they are not, or each is of its own.

    Args:
        sizes: of what is reshaped: that of the channels, then those of their places.
    """
    if not channels or not read or read % channels or read == channels:
        return None
    places = read // channels
    laid = any(
        size == channels and places in accumulate(sizes[axis + 1 :], mul) for axis, size in enumerate(sizes[1:], 1)
    )
    return places if laid else None
