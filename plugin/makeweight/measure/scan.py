"""Running sums down the rows of a table, many columns at once. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_GROUP = 16


def sums(table: NDArray[Any]) -> NDArray[Any]:
    """Sums of the rows so far, in place; the same as `cumsum(axis=0)`, and several times as fast.

    Within groups of rows, then over the groups' ends (Blelloch, "Prefix Sums and Their Applications", 1990): each step
    is one operation on whole rows, where numpy's own goes down one column at a time.
    """
    grouped = len(table) // _GROUP
    if grouped > 1:
        groups = table[: grouped * _GROUP].reshape(grouped, _GROUP, *table.shape[1:])
        for row in range(1, _GROUP):
            np.add(groups[:, row], groups[:, row - 1], out=groups[:, row])
        before = sums(groups[:-1, -1].copy())[:, None]
        np.add(groups[1:], before, out=groups[1:])
    for row in range(grouped * _GROUP if grouped > 1 else 1, len(table)):
        np.add(table[row], table[row - 1], out=table[row])
    return table
