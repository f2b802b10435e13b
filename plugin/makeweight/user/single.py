"""Modules that were built in half or double precision: all that is measured, trained and lowered begins in float32."""

from __future__ import annotations

from typing import Any


def in_single(module: Any) -> str | None:
    """Convert a torch.nn.Module in place, its parameters and buffers in floating point.

    Returns:
        the numbers that its parameters were in; None: in no others than float32, and nothing is changed. A buffer alone
        that is in others (a table kept small, a constant of more digits) is the module's own affair.
    """
    import torch

    found = {parameter.dtype for parameter in module.parameters()} & {torch.float16, torch.bfloat16, torch.float64}
    if not found:
        return None
    module.float()
    return " and ".join(sorted(str(each).removeprefix("torch.") for each in found))
