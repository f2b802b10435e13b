"""Channels that go in step, as Torch-Pruning is to see them: those of a convolution's groups, and the parts that a
layer's answer is cut into, where one gates another.

Of each group or part as many channels go, in the same places. Torch-Pruning knows that of convolutions that are not
transposed; of a transposed one it takes the weight for that of all groups at once. One that makes a single channel of
each group it takes for depthwise, though the group may read several. Of parts, which lie one behind the other or in
turns, it knows which channels go together, and chooses among all as if they did not; where they begin, it knows of the
model before anything is removed; and it takes for parts of the channels what is cut along another axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from makeweight.runtimes.weights import turned

# How far apart the scores are, of the largest, of channels that go together and of others; of scores that are all zero,
# what stands for the largest.
_APART, _LEAST = 1e-6, 1e-20


class InStep(NamedTuple):
    """Which of a layer's channels go together."""

    parts: int = 1
    """In how many parts of equal width they are, of which each loses the same."""
    neighbours: int = 1
    """How many that follow each other go together: in as many parts, they lie in turns."""


def in_step(graph: Any, group: Any) -> InStep:
    """Args:
    graph: of Torch-Pruning, of which the group is.
    group: begins with the layer.
    """
    first, channels = group[0]
    together = sorted(graph.get_pruning_group(first.target.module, first.handler, [0])[0].idxs)
    count = len(together)
    if together == [number * len(channels) / count for number in range(count)]:
        return InStep(parts=count)
    if together == [*range(count)] and len(channels) % count == 0:
        return InStep(neighbours=count)
    return InStep()


def as_one(scores: Any, neighbours: int) -> Any:
    """What channels matter where so many neighbours go together: all of these the same, and no others that, so that
    they stand beside each other in any order by it."""
    import torch

    together = scores.double().reshape(-1, neighbours).mean(1)
    rank = together.argsort(stable=True).argsort()
    apart = together.abs().max().clamp(min=_LEAST) * _APART / len(rank)
    made: Any = torch.repeat_interleave(together + rank * apart, neighbours)
    return made


def only_channels_cut(graph: Any) -> None:
    """Have Torch-Pruning take nothing for a cut of channels (a split, a slice) that is one along another axis, in
    place: it goes by the number of the axis. Here it is told by sizes: along the axis there are not as many places as
    there are channels, and along another that may have them there are."""
    from torch_pruning import ops
    from torch_pruning.dependency import index_mapping

    nodes = list(graph.module2node.values())
    elsewhere = [node for node in nodes if _cuts_elsewhere(graph, node)]
    for node in elsewhere:
        node.type = ops.OPTYPE.ELEMENTWISE
        if isinstance(node.module, ops._SplitOp):
            node.module.offsets = node.module.split_sizes = None
    if not elsewhere:
        return
    for node in nodes:  # what follows from these sizes
        if isinstance(node.module, ops._ConcatOp):
            node.module.concat_sizes = None
        for dependency in node.dependencies:
            dependency.index_mapping = [None, None]
    index_mapping.update_index_mapping(graph)


def _cuts_elsewhere(graph: Any, node: Any) -> bool:
    from torch_pruning import ops
    from torch_pruning.dependency import shape_infer

    sizes: Sequence[int] = getattr(node.grad_fn, "_saved_self_sym_sizes", ())
    if not isinstance(node.module, ops._SplitOp | ops._SliceOp) or not node.inputs or len(sizes) < 2:
        return False
    axis = node.grad_fn._saved_dim
    axis -= 2**64 * (axis >= 2**63)  # one that was counted from the end
    channels = shape_infer.infer_out_channels_recursively(graph, node.inputs[0], [0])
    return bool(sizes[axis] != channels and channels in (sizes[1], sizes[-1]))


def cut_anew(group: Any) -> None:
    """Have Torch-Pruning know where parts begin that a group was removed from: it takes what follows from them by the
    places of before, in a later round too."""
    from torch_pruning import ops

    for item in group.items:
        cut = item.dep.target.module
        if isinstance(cut, ops._SplitOp) and cut.split_sizes is not None:
            cut.offsets = [sum(cut.split_sizes[:number]) for number in range(len(cut.split_sizes) + 1)]
        if isinstance(cut, ops._SliceOp) and cut.step > 1:
            cut.start = cut.grad_fn._saved_start  # of parts in turns, all begin where they did


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
