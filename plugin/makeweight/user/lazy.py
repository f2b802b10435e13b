"""PyTorch's layers that take the size of their input from the first call (`nn.LazyLinear` and the like), once they have
weights.

Weights that are loaded before that call leave these sizes at 0, of convolutions and normalizations for good, and by
them such a layer reads nothing, so that nothing can be removed from it.
https://docs.pytorch.org/docs/stable/generated/torch.nn.modules.lazy.LazyModuleMixin.html
"""

from __future__ import annotations

from typing import Any


def settle(module: Any) -> None:
    """Give the layers of a torch.nn.Module that have weights the sizes that these have; in place."""
    from torch import nn

    for part in module.modules():
        if not isinstance(part, nn.modules.lazy.LazyModuleMixin) or part.has_uninitialized_params():
            continue
        if isinstance(part, nn.Linear):
            part.in_features = part.weight.shape[1]
        elif isinstance(part, nn.modules.conv._ConvNd):
            part.in_channels = len(part.weight) if part.transposed else part.weight.shape[1] * part.groups
        elif isinstance(part, nn.modules.batchnorm._NormBase):
            kept = next((each for each in (part.weight, part.running_mean) if each is not None), None)
            part.num_features = part.num_features if kept is None else len(kept)
