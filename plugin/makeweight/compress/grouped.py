"""Channels that go in step, as Torch-Pruning is to see them: those of a convolution's groups, and the parts that a
layer's answer is cut into, where one gates another.

Of each group or part as many channels go, in the same places. Torch-Pruning knows that of convolutions that are not
transposed; of a transposed one it takes the weight for that of all groups at once. One that makes a single channel of
each group it takes for depthwise, though the group may read several. Of parts it knows which channels go together, and
chooses among all as if they did not; and where they begin, it knows of the model before anything is removed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from makeweight.runtimes.weights import turned


def parts_in_step(graph: Any, group: Any) -> int:
    """How many parts of equal width a layer's channels are in of which each loses the same; 1: they are in one.

    Args:
        graph: of Torch-Pruning, of which the group is.
        group: begins with the layer.
    """
    first, channels = group[0]
    together = sorted(graph.get_pruning_group(first.target.module, first.handler, [0])[0].idxs)
    apart = len(channels) / len(together)
    return len(together) if together == [apart * number for number in range(len(together))] else 1


def cut_anew(group: Any) -> None:
    """Have Torch-Pruning know where parts begin that a group was removed from: it takes what follows from them by the
    places of before, in a later round too."""
    from torch_pruning import ops

    for item in group.items:
        cut = item.dep.target.module
        if isinstance(cut, ops._SplitOp) and cut.split_sizes is not None:
            cut.offsets = [sum(cut.split_sizes[:number]) for number in range(len(cut.split_sizes) + 1)]


def single(module: Any) -> list[str]:
    """The convolutions that make one channel of each group and read several: without a channel of theirs, all that its
    group reads would have to go too."""
    from torch import nn

    return [
        name
        for name, part in module.named_modules()
        if isinstance(part, nn.modules.conv._ConvNd) and 1 < part.groups == part.out_channels < part.in_channels
    ]


@contextmanager
def turned_over(module: Any) -> Iterator[None]:
    """While channels are weighed and removed, transposed convolutions in groups have the weights that they would have
    if they were not transposed, and say so. The module cannot be called meanwhile."""
    from torch import nn

    layers = [
        part
        for part in module.modules()
        if isinstance(part, nn.modules.conv._ConvTransposeNd)
        and part.groups > 1
        and not part.groups == part.in_channels == part.out_channels
        and "weight" in part._parameters
    ]
    _turn(layers, transposed=False)
    try:
        yield
    finally:
        _turn(layers, transposed=True)


def _turn(layers: list[Any], *, transposed: bool) -> None:
    """A weight that several layers share stays shared."""
    from torch import nn

    made: dict[tuple[Any, int], Any] = {}
    for layer in layers:
        weight, groups = layer.weight, layer.groups
        if (weight, groups) not in made:
            other = nn.Parameter(turned(weight.detach(), groups), weight.requires_grad)
            if weight.grad is not None:
                other.grad = turned(weight.grad, groups)
            made[weight, groups] = other
        layer.weight, layer.transposed = made[weight, groups], transposed


def apart(group: Any) -> Any:
    """A group of Torch-Pruning without the weights that tell no channels apart: each group of a convolution that reads
    one channel has a weight of one. Importances look for as many as it has channels."""
    import torch_pruning
    from torch_pruning.pruner import function

    def tells(dependency: Any) -> bool:
        layer = dependency.target.module
        return not (dependency.handler == function.prune_conv_in_channels and 1 < layer.groups == layer.in_channels)

    if all(tells(item.dep) for item in group.items):
        return group
    made = torch_pruning.dependency.Group()
    for item in group.items:
        if tells(item.dep):
            made.add_dep(item.dep, item.idxs)
            made[len(made) - 1].root_idxs = item.root_idxs
    return made
