"""What of a module is called otherwise while its channels are followed, with the same shapes and channels.

Padding that wraps around is to autograd copies of slices in place, through which Torch-Pruning goes round and round for
ever; what repeats the edge stands for it. A gated linear unit is one operation, that says nothing of the halves which
it multiplies; these stand for it.
"""

from __future__ import annotations

import functools
from typing import Any

from makeweight.runtimes.inputs import call


def followable_call(module: Any, inputs: Any) -> Any:
    """What a module answers, of the right shapes and made of the right channels, and no more."""
    with _mode()():
        return call(module, inputs)


@functools.cache
def _mode() -> Any:
    """The mode, made when torch is there."""
    import torch
    from torch.nn import functional
    from torch.overrides import TorchFunctionMode

    class Mode(TorchFunctionMode):  # type: ignore[misc, unused-ignore]
        def __torch_function__(self, function: Any, kinds: Any, arguments: Any = (), others: Any = None) -> Any:
            others = others or {}
            if function in (functional.pad, torch._C._nn.pad) and "circular" in (*arguments[2:3], others.get("mode")):
                arguments, others = arguments[:2], {**others, "mode": "replicate"}
            if function in (functional.glu, torch._C._nn.glu):
                return _halves(*arguments, **others)
            return function(*arguments, **others)

    return Mode


def _halves(input: Any, dim: int = -1) -> Any:
    """What a gated linear unit answers: Dauphin et al., "Language Modeling with Gated Convolutional Networks", 2017,
    https://arxiv.org/abs/1612.08083."""
    # of the last axis Torch-Pruning knows that it has the channels where that is counted from the end
    passed, gate = input.chunk(2, -1 if dim > 1 and dim == input.ndim - 1 else dim)
    return passed * gate.sigmoid()
