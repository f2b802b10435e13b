"""Weights tied by a hash of their place: which value each has, and with which sign, follows from where it stands.

Chen et al., "Compressing Neural Networks with the Hashing Trick", ICML 2015, https://arxiv.org/abs/1504.04788. The hash
is a polynomial over a prime (Wegman and Carter, 1981, https://doi.org/10.1016/0022-0000(81)90033-7), which a runtime's
operators on integers compute as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PRIME = 2**31 - 1
"""Products of two numbers below it fit into 64 bits."""
FACTORS = (1_442_695_041, 577_215_665, 1_618_033_989)
"""Of the place's square, of the place, and alone; any three numbers below the prime would do."""


def values_of(count: int, part: float) -> int:
    """How many values so many weights have."""
    return max(1, round(count * part))


def places(count: int, values: int) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """For each of so many weights, in the order in which they are stored, the number of its value, and its sign. A hash
    is taken below twice the number of values: from that number on, it means a value with a minus."""
    import numpy as np

    square, place, alone = FACTORS
    at = np.arange(count, dtype=np.int64)
    hashed = ((at * square + place) % PRIME * at + alone) % PRIME
    which = hashed % (2 * values)
    return which % values, np.where(which < values, 1, -1).astype(np.int8)
