"""How many of a layer's channels to remove, so that what is left is a multiple."""

from __future__ import annotations

import math


def removed(wanted: float, channels: int, multiple: int) -> int:
    """How many of `channels` to remove so that the multiple remains which is nearest to `channels - wanted`.

    At least one multiple remains, and where two are equally near, the smaller.
    """
    left = max(1, math.ceil((channels - wanted) / multiple - 0.5)) * multiple
    return max(0, channels - left)
