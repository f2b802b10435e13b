"""Tables of vectors (`nn.Embedding`, `nn.EmbeddingBag`) as Torch-Pruning is to see them: they make channels, as layers
do, and read none."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from makeweight.compress.gradients import whole


def kinds() -> tuple[Any, ...]:
    from torch import nn

    return nn.Embedding, nn.EmbeddingBag


def width_of(part: Any) -> Any:
    """How many channels a layer, or a table of vectors, gives; None where nobody knows."""
    if isinstance(part, kinds()):
        return part.embedding_dim
    return getattr(part, "out_channels", getattr(part, "out_features", None))


def roots() -> list[Any]:
    """The kinds of module that channels are followed from."""
    import torch_pruning

    return [torch_pruning.ops.TORCH_CONV, torch_pruning.ops.TORCH_LINEAR, *kinds()]


@cache
def pruners() -> Mapping[Any, Any]:
    """What Torch-Pruning is told of the kind that it does not know. Made once: it knows what hangs together by the very
    functions that remove channels, and these are called on copies too."""
    import torch_pruning
    from torch import nn

    class OfBags(torch_pruning.pruner.function.EmbeddingPruner):  # type: ignore[misc]
        TARGET_MODULES = nn.EmbeddingBag

    return {nn.EmbeddingBag: OfBags()}


def as_layers(group: Any) -> Any:
    """A group of Torch-Pruning whose channels a table makes, with linear layers in place of its tables: a row of the
    table is what such a layer gives for a one in that place. Importances know those; any other group as it is."""
    import torch_pruning

    if not isinstance(group[0].dep.target.module, kinds()):
        return group
    made = torch_pruning.dependency.Group()
    for place, item in enumerate(group.items):
        module = item.dep.target.module
        made.add_dep(_of_layer(module) if isinstance(module, kinds()) else item.dep, item.idxs)
        made[place].root_idxs = item.root_idxs
    return made


def _of_layer(table: Any) -> Any:
    """That the output channels of a linear layer with a table's weights are removed."""
    import torch_pruning
    from torch import nn

    layer, gradient = nn.Linear(1, 1, bias=False), table.weight.grad
    layer.weight = nn.Parameter(table.weight.detach().T)
    if gradient is not None:
        layer.weight.grad = whole(gradient).T
    node = torch_pruning.dependency.Node(layer, None)
    handler = torch_pruning.pruner.function.prune_linear_out_channels
    return torch_pruning.dependency.Dependency(handler, handler, node, node)
