"""The ratio of channels to remove by which so much of a network's arithmetic is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from makeweight.compress.examples import Tensors
from makeweight.runtimes.inputs import call
from makeweight.runtimes.runtime import RecipeFailed

# The largest ratio that is tried, and how often the stretch below it is halved: widths come in multiples, so ratios
# that are closer to each other seldom differ.
MOST = 0.99
_HALVINGS = 7


def least_ratio(left: Callable[[float], float], wanted: float) -> tuple[float, float]:
    """The least ratio that leaves no more than is wanted, found by bisection, and what it leaves.

    Args:
        left: the part that a ratio leaves; it falls as the ratio rises.

    Raises:
        RecipeFailed: no ratio does.
    """
    low, high, reached = 0.0, MOST, left(MOST)
    if reached > wanted:
        raise RecipeFailed(
            f"prune: {reached:.1%} of the multiply-accumulates are left whatever is removed, and `macs` wants at most "
            f"{wanted:.1%}: layers that make outputs, that are excluded or that have few channels keep them; raise "
            "`macs`, or lower `round_to`"
        )
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if (found := left(middle)) > wanted:
            low = middle
        else:
            high, reached = middle, found
    return high, reached


def macs(module: Any, example: Tensors) -> int:
    """Multiply-accumulates of convolutions, products and attention for an example, as PyTorch counts them.

    Raises:
        RecipeFailed: it counts none.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call(module.eval(), example)
    if not (total := counter.get_total_flops() // 2):
        raise RecipeFailed("prune: PyTorch counts no multiply-accumulates of this module; give `ratio`")
    return int(total)
