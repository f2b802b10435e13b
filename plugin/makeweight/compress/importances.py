"""What a channel matters: the importances of Torch-Pruning by the names that a recipe has for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from makeweight.compress import grouped
from makeweight.compress.tables import as_layers

Importance = Callable[[Any], Any]
"""Of a group of Torch-Pruning: a score for each of its channels; None where there is none, and the group stays."""

SCALES = "bn_scale"


@dataclass(frozen=True)
class Scales:
    """The size of batch normalization's scales, over all layers as they are: Liu et al., "Learning Efficient
    Convolutional Networks through Network Slimming", ICCV 2017, https://arxiv.org/abs/1708.06519.

    Where a layer has none, or all are alike, as they are before any training, they tell no channels apart.
    """

    silent: set[Any] = field(default_factory=set)
    """The layers whose channels they did not tell apart when asked last."""

    def __call__(self, group: Any) -> Any:
        import torch_pruning

        layer = group[0].dep.target.module
        scores = torch_pruning.importance.BNScaleImportance(normalizer=None)(group)
        if scores is None or float(scores.max() - scores.min()) <= 1e-6 * float(scores.max()):
            self.silent.add(layer)
            return None
        self.silent.discard(layer)
        return scores


def distances(group: Any) -> Any:
    """How far a channel's weights are from those of all others, as a part of the mean: He et al., "Filter Pruning via
    Geometric Median", CVPR 2019, https://arxiv.org/abs/1811.00250.

    The library's own compares the squares of weights, for which two channels of opposite signs are one.
    """
    import torch
    from torch_pruning.pruner import function

    total = torch.zeros(len(group[0].idxs))
    for item in group.items:
        dependency, channels = item.dep, item.idxs
        layer = dependency.target.module
        inputs = dependency.handler in (function.prune_conv_in_channels, function.prune_linear_in_channels)
        outputs = dependency.handler in (function.prune_conv_out_channels, function.prune_linear_out_channels)
        if not (inputs or outputs) or None in item.root_idxs:
            continue
        rows = layer.weight.detach().movedim(int(inputs != getattr(layer, "transposed", False)), 0).flatten(1)
        if max(channels) >= len(rows):
            rows = rows.repeat(layer.groups, 1)  # what each group of a convolution has stands for all
        rows = rows[list(channels)]
        apart = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist").sum(1)
        # after a flattening, several inputs are of one channel
        total.scatter_add_(0, torch.tensor(item.root_idxs), apart.float())
    return total / total.mean() if float(total.sum()) else None


def importance_of(name: str) -> Importance:
    """The importance that a recipe names."""
    import torch_pruning

    if name == SCALES:
        return Scales()
    importance: Importance = distances
    if name != "fpgm":
        importance = {
            "magnitude": torch_pruning.importance.GroupMagnitudeImportance,
            "taylor": torch_pruning.importance.GroupTaylorImportance,
            "lamp": torch_pruning.importance.LAMPImportance,
        }[name]()
    return lambda group: importance(as_layers(grouped.apart(group)))


def of_heads(importance: Importance) -> Importance:
    """What a head matters: its layers have no batch normalization, and are compared by their magnitude there."""
    return importance_of("magnitude") if isinstance(importance, Scales) else importance


def silent_in(importance: Importance) -> set[Any]:
    """The layers whose channels an importance does not tell apart."""
    return importance.silent if isinstance(importance, Scales) else set()
