"""What is put around a module to train or run it faster and is no part of it: `torch.compile`, `DataParallel`.

A compiled module would be compiled anew wherever it is exported, narrowed or trained, and both call its layers by other
names.
"""

from __future__ import annotations

import sys
from typing import Any


def unwrapped(module: Any) -> Any:
    """A torch.nn.Module without that, at any depth; the module itself is changed."""
    module = _within(module)
    for part in list(module.modules()):
        if part._compiled_call_impl is not None:  # as `Module.compile` leaves it
            part._compiled_call_impl = None
        for name, child in list(part._modules.items()):
            if child is not None and (inner := _within(child)) is not child:
                part._modules[name] = inner
    return module


def _within(module: Any) -> Any:
    from torch import nn

    # slow to import, and imported already where something is compiled
    compiler = sys.modules.get("torch._dynamo.eval_frame")
    while True:
        if compiler is not None and isinstance(module, compiler.OptimizedModule):
            module = module._orig_mod
        elif isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            module = module.module
        else:
            return module
