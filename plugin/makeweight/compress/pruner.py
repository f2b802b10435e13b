"""One step of pruning a module: Torch-Pruning removes channels with all that hangs together, and attention gives up
heads.

Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR 2023, https://arxiv.org/abs/2301.12900
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from makeweight.compress import grouped
from makeweight.compress.deadend import layer_of, left_out, values_at
from makeweight.compress.examples import Tensors
from makeweight.compress.heads import HeadPruner, Narrowable
from makeweight.compress.importances import importance_of, of_heads
from makeweight.compress.narrowing import (
    Removal,
    differentiable,
    follow_all,
    graph_of,
    narrow,
    parts,
    pruners,
    see_channels,
)
from makeweight.compress.recurrent_inputs import followed
from makeweight.compress.rounding import removed
from makeweight.compress.tables import roots
from makeweight.compress.technique import Given
from makeweight.compress.wrapping import followable_call
from makeweight.runtimes import environment
from makeweight.runtimes.runtime import RecipeFailed
from makeweight.runtimes.traced import said
from makeweight_base.errors import MakeweightError
from makeweight_base.quiet import quiet

if TYPE_CHECKING:
    from makeweight.compress.prune import PruneOptions


@dataclass(frozen=True)
class Pruning:
    """What is to be removed of a module, and what it has to answer all the same."""

    options: PruneOptions
    given: Given
    example: Tensors
    scores: Any
    """What it answers to the example."""

    @property
    def multiple(self) -> int:
        """Of how many channels layers keep a multiple."""
        return self.options.round_to or self.given.channel_multiple


@dataclass(frozen=True)
class Pruner:
    """One step removes channels, and heads of attention whose channels Torch-Pruning leaves alone."""

    channels: Any
    heads: HeadPruner
    beside: Mapping[str, tuple[str, ...]]
    outputs: Sequence[Any]
    """The layers whose channels are the model's outputs."""

    def step(self, module: Any) -> list[Removal]:
        for name in grouped.single(module):  # one that an earlier step left so: what it reads can go no more
            layer = module.get_submodule(name)
            self.channels.in_channel_groups[layer] = layer.in_channels
        return [*narrow(self.channels, module, self.beside), *self.heads.step(module)]


def pruner_of(
    module: Any,
    pruning: Pruning,
    heads: Sequence[Narrowable],
    alone: Sequence[str],
    beside: Mapping[str, tuple[str, ...]],
) -> Pruner:
    """Args:
    heads: the attention that gives up heads.
    alone: the layers that keep their channels.
    beside: by layer, the buffers that lose the channels that it does.
    """
    import torch_pruning

    options, example = pruning.options, pruning.example
    layers = parts(module)
    kept = [layers[name] for name in alone]
    ratio = cast(float, options.ratio)  # where `macs` is set, it was found before
    # the width of inputs that heads are counted by has to hold whole heads
    multiple = math.lcm(pruning.multiple, *(each.attention.width for each in heads if each.follows))
    follow_all(module)
    importance = importance_of(options.importance)
    known: dict[tuple[Any, int], grouped.InStep] = {}

    class Rounding(torch_pruning.pruner.BasePruner):  # type: ignore[misc]
        groups = neighbours = 1

        # The library's own rounds down, so that with 32 channels, multiples of 16 and a ratio of 0.1, half would go.
        # Where channels fall into groups, of which each loses as many, it takes those of one for those of all.
        def _round_to(self, n_pruned: int, current_channels: int, round_to: int) -> int:
            groups: int = self.groups
            multiple = math.lcm(round_to, groups * self.neighbours)
            return removed(n_pruned * groups, current_channels, multiple) // groups

        # How many parts of a group lose as many channels: the library knows those of convolutions and normalizations.
        def _get_channel_groups(self, group: Any) -> int:
            groups: int = super()._get_channel_groups(group)
            parts, width = groups * self._in_step(group).parts, len(group[0].idxs)
            return groups if width % parts else parts

        def estimate_importance(self, group: Any) -> Any:
            scores, neighbours = super().estimate_importance(group), self._in_step(group).neighbours
            return scores if scores is None or neighbours == 1 else grouped.as_one(scores, neighbours)

        # Asked of each group just before its channels are rounded.
        def _is_atten_group(self, group: Any) -> Any:
            self.groups, self.neighbours = self._get_channel_groups(group), self._in_step(group).neighbours
            return super()._is_atten_group(group)

        def _in_step(self, group: Any) -> grouped.InStep:
            layer, width = group[0].dep.target.module, len(group[0].idxs)
            if (layer, width) not in known:  # asked of each group again and again
                known[layer, width] = grouped.in_step(self.DG, group)
            return known[layer, width]

    outputs = _output_layers(module, example, kept)
    with followed(module) as standing:
        channels = Rounding(
            module,
            example_inputs=example,
            forward_fn=followable_call,
            importance=importance,
            global_pruning=options.scope == "global",
            pruning_ratio=ratio,
            iterative_steps=options.rounds,
            ignored_layers=[*kept, *outputs, *standing],
            round_to=multiple,
            root_module_types=roots(),
            output_transform=differentiable,
            customized_pruners=pruners(module),
            # the library's defaults for these are dictionaries that it fills in place, for every later pruner too
            in_channel_groups={},
            out_channel_groups={},
            num_heads={},
            channel_groups={},
        )
    see_channels(channels.DG)
    known.clear()
    together = options.scope == "global"
    of_attention = HeadPruner(list(heads), of_heads(importance), ratio, options.rounds, together, multiple)
    return Pruner(channels, of_attention, beside, outputs)


def _output_layers(module: Any, example: Tensors, kept: Sequence[Any]) -> list[Any]:
    """The layers whose channels are the model's outputs, directly or through operations that pass channels on; those
    that keep their channels besides are not asked for (in attention, Torch-Pruning would follow them without end)."""
    ends: set[Any] = set()

    def note(outputs: Any) -> Any:
        leaves = differentiable(outputs)
        ends.update(leaf.grad_fn for leaf in leaves)
        if not leaves or None in ends:
            raise RecipeFailed(
                "Torch-Pruning cannot follow this model: an output does not depend on the weights as far as autograd "
                "sees (torch.no_grad, detach or numpy in forward)"
            )
        return leaves

    graph = graph_of(module, example, note)
    layers = []
    for group in graph.get_all_groups(ignored_layers=list(kept), root_module_types=roots()):
        root = group[0].dep.target.module
        passing = (item.dep.target for item in group.items if graph.is_out_channel_pruning_fn(item.dep.handler))
        if any(node.grad_fn in ends for node in passing):
            layers.append(root)
    return layers


class TrackLost(RecipeFailed):
    """Torch-Pruning raised something."""

    def __init__(self, told: str, layer: str | None) -> None:
        """Args:
        layer: the one whose channels it was at work on; None: it was at work on no single one's.
        """
        super().__init__(told)
        self.layer = layer


@contextmanager
def tracked(what: str, module: Any) -> Iterator[None]:
    """For work of Torch-Pruning's, which raises anything at all where it loses track of a model.

    Raises:
        TrackLost: it did.
    """

    def fails(error: Exception) -> TrackLost:
        root, layer = _root_of(error, module), layer_of(error, module)
        at = f" at `{layer}`" if layer else ""
        if root and root != layer:
            at += f", for the channels of `{root}`"
        told = root or layer
        way_out = left_out([told] if told else [])
        return TrackLost(f"Torch-Pruning cannot {what}{at}: {said(error)}{way_out}", root)

    with environment.translated(fails, (MakeweightError, RecipeFailed)), quiet():
        yield


def _root_of(error: BaseException, module: Any) -> str | None:
    """The layer that the group begins with which Torch-Pruning was at work on when it raised."""
    from torch_pruning.dependency import Group

    names = {part: name for name, part in parts(module).items()}
    groups = (value for value in values_at(error) if isinstance(value, Group) and len(value))
    roots = (names.get(each[0].dep.target.module) for each in groups)
    return next((root for root in roots if root), None)
