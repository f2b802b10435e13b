"""Padding that wraps around, while a module's channels are followed: autograd has it as copies of slices in place,
through which Torch-Pruning goes round and round for ever. What repeats the edge in its place has the same shape and
channels.
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
            return function(*arguments, **others)

    return Mode
