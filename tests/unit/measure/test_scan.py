"""Running sums are numpy's own, whatever the number of rows."""

import numpy as np
import pytest

from makeweight.measure import scan


@pytest.mark.parametrize("rows", [0, 1, 2, 15, 16, 17, 31, 32, 33, 255, 256, 257, 300, 4100])
def test_they_are_those_of_numpy(rows: int) -> None:
    table = np.random.default_rng(rows).integers(0, 9, (rows, 3)).astype(float)
    np.testing.assert_array_equal(scan.sums(table.copy()), table.cumsum(axis=0))
