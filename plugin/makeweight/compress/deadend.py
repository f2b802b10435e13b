"""Where any step that changes layers fails: at a module without layers, at NaN in it, at a pattern that fits no layer,
at a module that no longer runs; which layer that was, and how to leave it out."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from typing import Any

from makeweight.compress.examples import Tensors
from makeweight.compress.scores import answers
from makeweight.runtimes import environment
from makeweight.runtimes.layers import named, unfit
from makeweight.runtimes.runtime import RecipeFailed
from makeweight.runtimes.traced import said
from makeweight.user.saved import some
from makeweight.user.weights import not_finite


def refuse_operators(module: Any, technique: str) -> None:
    """Raises:
    RecipeFailed: the module is a program of operators, or holds one.
    """
    import torch

    if any(isinstance(each, torch.fx.GraphModule) for each in module.modules()):
        raise RecipeFailed(
            f"{technique} changes layers, and a torch.export program has operators alone; declare `build` and `weights`"
        )


def refuse_not_finite(module: Any, technique: str) -> None:
    """Raises:
    RecipeFailed: something that the module keeps is NaN or infinity.
    """
    if bad := not_finite(module):
        raise RecipeFailed(f"{technique}: {some(bad)} holds NaN or infinity; train with a smaller `lr`")


def excluded(patterns: Sequence[str], layers: Sequence[str], technique: str) -> list[str]:
    """The layers that a step's `exclude` means.

    Raises:
        RecipeFailed: a pattern fits none of them.
    """
    for pattern in patterns:
        if not named([pattern], layers):
            raise RecipeFailed(f"{technique}: in `exclude`, {unfit(pattern, layers)}")
    return named(patterns, layers)


def changeable(module: Any, patterns: Sequence[str], technique: str) -> dict[str, Any]:
    """The parameters with more than one axis, by name, of the layers that a step's `exclude` does not mean. What only
    scales the channels that layers compute is none of them.

    Raises:
        RecipeFailed: a pattern fits none of them.
    """
    layers = {name: name.rpartition(".")[0] for name, weight in module.named_parameters() if weight.ndim > 1}
    left_alone = set(excluded(patterns, list(layers.values()), technique))
    weights = {name: module.get_parameter(name) for name, layer in layers.items() if layer not in left_alone}
    return {name: weight for name, weight in weights.items() if weight.numel() and not _scales(module, name, weight)}


def multiplying() -> Any:
    """PyTorch's kinds of layer that multiply with a weight, or look it up: of these it is known how it lies."""
    from torch import nn

    return (
        nn.Linear | nn.Bilinear | nn.Embedding | nn.EmbeddingBag | nn.modules.conv._ConvNd
        | nn.RNNBase | nn.RNNCellBase | nn.MultiheadAttention
    )  # fmt: skip


def _scales(module: Any, name: str, weight: Any) -> bool:
    """Whether a parameter is the factors of a normalization, or a vector that has other axes to spread over (a layer
    scale, the lengths of a weight normalization). Like a bias it has few numbers, each of a whole channel."""
    from torch import nn

    owner, _, own = name.rpartition(".")
    layer = module.get_submodule(owner)
    if isinstance(layer, nn.LayerNorm | nn.RMSNorm):
        return True
    # a layer with one input or one output has a vector for a weight
    return weight.numel() == max(weight.shape) and not (isinstance(layer, multiplying()) and own != "weight_g")


def refuse_broken(module: Any, example: Tensors, before: Any, output: str | None, called: str, way_out: str) -> None:
    """Of a module that was changed.

    Args:
        before: its scores before.
        called: what it is called in errors, the technique first.
        way_out: what to do where it fails.

    Raises:
        RecipeFailed: it no longer runs, answers in another shape, or NaN, or infinity where it had none.
    """
    import torch

    def fails(error: Exception) -> RecipeFailed:
        layer = layer_of(error, module)
        return RecipeFailed(f"{called} no longer runs{f' at `{layer}`' if layer else ''} ({said(error)}); {way_out}")

    with environment.translated(fails):
        answer = answers(module, example, output)
    if answer.shape != before.shape:
        was = list(before.shape)
        raise RecipeFailed(f"{called} answers in the shape {list(answer.shape)}, before in {was}; {way_out}")
    if not bool((torch.isfinite(answer) | (answer == before)).all()):
        raise RecipeFailed(f"{called} answers NaN or infinity")


def layer_of(error: BaseException, module: Any) -> str | None:
    """The innermost layer that was at work when a module, or what changes one, raised."""
    names = {id(part): name for name, part in module.named_modules() if name}
    found = (names.get(id(value)) for value in values_at(error))
    return next((name for name in found if name is not None), None)


def values_at(error: BaseException) -> Iterator[Any]:
    """What the functions that were at work when it was raised had by name, the innermost first."""
    frames = reversed(list(traceback.walk_tb(error.__traceback__)))
    return (value for frame, _ in frames for value in list(frame.f_locals.values()))


def left_out(layers: Sequence[str]) -> str:
    """What to write, as the end of a sentence; nothing where no layer is known."""
    if not layers:
        return ""
    named = ", ".join(dict.fromkeys(layers))
    return f"; to leave {'it' if len(layers) == 1 else 'them'} as before: `exclude: [{named}]`"
