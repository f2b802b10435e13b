"""Modules that were built in half or double precision: all that is measured, trained and lowered begins in float32."""

from __future__ import annotations

from typing import Any

OTHER = frozenset({"bfloat16", "float16", "float64"})
"""The numbers in floating point that these were built in, by their names."""


def in_single(module: Any) -> str | None:
    """Convert a torch.nn.Module in place, its parameters and buffers in floating point.

    Returns:
        the numbers that its parameters were in; None: in no others than float32, and nothing is changed. A buffer alone
        that is in others (a table kept small, a constant of more digits) is the module's own affair.
    """
    found = OTHER & {str(parameter.dtype).removeprefix("torch.") for parameter in module.parameters()}
    if not found:
        return None
    module.float()
    return " and ".join(sorted(found))
