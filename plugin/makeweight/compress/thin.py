"""A layer of PyTorch's as thinner ones in a row: what it is for `factors.py`, and what is put in its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from makeweight.runtimes.weights import Factor, Layer, convolution, turned


def kinds() -> tuple[type, ...]:
    """Of layers that thinner ones can stand for, and of no others that descend from them."""
    from torch import nn

    return nn.Linear, nn.Embedding, *convolutions()


def convolutions() -> tuple[type, ...]:
    from torch import nn

    return nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d


def as_layer(layer: Any, sizes: tuple[Sequence[int], Sequence[int]] = ((), ())) -> Layer:
    """What a layer of these kinds multiplies with.

    Args:
        sizes: see `Layer`; of a convolution.
    """
    from torch import nn

    weight = layer.weight.detach().double().numpy()
    if isinstance(layer, nn.Embedding):
        return Layer(weight.T[None], table=True)
    if isinstance(layer, nn.Linear):
        return Layer(weight[None])
    return convolution(weight, layer.groups, layer.transposed, sizes)


def in_a_row(layer: Any, factors: Sequence[Factor]) -> Any:
    """What is put in the layer's place. Code that reads the weight or the bias of the layer finds them there still."""
    import torch
    from torch import nn

    class InARow(nn.Sequential):  # type: ignore[misc]
        @property
        def weight(self) -> Any:
            return _whole(list(self), getattr(layer, "groups", 1), getattr(layer, "transposed", False))

        @property
        def bias(self) -> Any:
            return self[-1].bias

    made = InARow(*_layers(layer, factors)).to(layer.weight).requires_grad_(layer.weight.requires_grad)
    if getattr(layer, "bias", None) is not None:
        with torch.no_grad():
            made.bias.copy_(layer.bias)
        made.bias.requires_grad_(layer.bias.requires_grad)
    return made.train(layer.training)


def _layers(layer: Any, factors: Sequence[Factor]) -> list[Any]:
    import torch
    from torch import nn

    made = []
    for number, factor in enumerate(factors, 1):
        biased = number == len(factors) and getattr(layer, "bias", None) is not None
        outputs, inputs, *kernel = factor.weight.shape
        weight = torch.from_numpy(np.ascontiguousarray(factor.weight))
        if isinstance(layer, nn.Embedding) and number == 1:
            part, weight = _table(layer, outputs), weight.T
        elif not kernel:
            part = nn.Linear(inputs, outputs, bias=biased)
        else:
            part = _convolution(layer, factor, biased)
            if getattr(part, "transposed", False):
                weight = turned(weight, layer.groups)
        with torch.no_grad():
            part.weight.copy_(weight)
        made.append(part)
    return made


def _table(layer: Any, width: int) -> Any:
    from torch import nn

    return nn.Embedding(
        layer.num_embeddings,
        width,
        padding_idx=layer.padding_idx,
        scale_grad_by_freq=layer.scale_grad_by_freq,
        sparse=layer.sparse,
    )


def _convolution(layer: Any, factor: Factor, biased: bool) -> Any:
    """A convolution that moves, and treats the edges, as this layer does along the factor's axes."""
    from torch import nn

    outputs, inputs, *kernel = factor.weight.shape
    rank = len(kernel)
    kind = type(layer) if factor.axes else (nn.Conv1d, nn.Conv2d, nn.Conv3d)[rank - 1]

    def along(name: str, none: int) -> tuple[int, ...]:
        given = getattr(layer, name)
        return tuple(given[axis] if axis in factor.axes else none for axis in range(rank))

    settings: dict[str, Any] = {}
    if factor.axes:
        settings = {"stride": along("stride", 1), "dilation": along("dilation", 1)}
        settings["padding"] = layer.padding if isinstance(layer.padding, str) else along("padding", 0)
        settings["padding_mode"] = layer.padding_mode
        if layer.transposed:
            settings["output_padding"] = along("output_padding", 0)
    groups = layer.groups
    return kind(inputs * groups, outputs, tuple(kernel), groups=groups, bias=biased, **settings)


def _whole(layers: Sequence[Any], groups: int, transposed: bool) -> Any:
    """The one weight that layers in a row stand for."""
    import torch
    from torch import nn

    first, *others = layers
    whole = first.weight
    if isinstance(first, nn.Embedding):
        return whole @ others[0].weight.T
    if isinstance(first, nn.Linear):
        return others[0].weight @ whole
    # [groups, outputs, inputs, kernel]; of two kernels in a row one is 1 wide, along each axis
    weights = [turned(each.weight, groups) if each.transposed else each.weight for each in layers]
    whole, *others = [each.unflatten(0, (groups, -1)) for each in weights]
    for weight in others:
        kernel = [max(sizes) for sizes in zip(weight.shape[3:], whole.shape[3:], strict=True)]
        outer, inner = (each.expand(*each.shape[:3], *kernel) for each in (weight, whole))
        whole = torch.einsum("gor...,gri...->goi...", outer, inner)
    return turned(whole.flatten(0, 1), groups) if transposed else whole.flatten(0, 1)
