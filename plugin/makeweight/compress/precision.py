"""The numbers that a training multiplies in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from makeweight.compress.accelerator import CUDA
from makeweight_base.progress import Progress


def multiplying_in(precision: str, on: str, progress: Progress) -> Callable[[], AbstractContextManager[Any]]:
    """What a forward pass and its loss stand in. Where the device has no instructions for bfloat16, PyTorch would
    imitate it, several times slower than float32: then it is told, and float32 it is.

    Args:
        on: the device, see `accelerator.py`.

    https://docs.pytorch.org/docs/stable/amp.html
    """
    import torch

    if precision == "float32":
        return contextlib.nullcontext
    if on == CUDA:
        able = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        able = any(has for name, has in torch.cpu.get_capabilities().items() if name.endswith("bf16"))
    if not able:
        what = "GPU" if on == CUDA else "processor"
        progress.say(f"this {what} does not multiply bfloat16: float32 is trained in")
        return contextlib.nullcontext
    return lambda: torch.autocast(on, dtype=torch.bfloat16)
