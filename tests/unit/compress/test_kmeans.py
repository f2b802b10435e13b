"""k-means on a line, against what can be found otherwise."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from makeweight.compress.kmeans import means, nearest


def _loss(values: np.ndarray, table: np.ndarray) -> float:
    return float(((values[:, None] - table[None]) ** 2).min(1).sum())


def test_of_few_values_the_best_of_all_partitions_is_found() -> None:
    values = np.array([0.0, 0.1, 0.2, 1.0, 1.1, 5.0, 5.2, 9.0])
    cuts = itertools.combinations(range(1, len(values)), 3)
    least = min(sum(((part - part.mean()) ** 2).sum() for part in np.split(values, list(places))) for places in cuts)
    assert _loss(values, means(values, 4)) == pytest.approx(least)


@pytest.mark.parametrize("count", [4, 16, 200])
def test_each_number_is_the_mean_of_what_is_nearest_to_it(count: int) -> None:
    values = np.random.default_rng(2).standard_t(3, 5000)
    table = means(values, count)
    assert len(table) <= count
    assert np.all(np.diff(table) > 0)
    closest = np.abs(values[:, None] - table[None]).argmin(1)
    assert np.array_equal(nearest(values, table), closest)
    if count < 100:  # more numbers settle after more turns
        held = [values[closest == place].mean() for place in range(len(table))]
        assert np.allclose(held, table, atol=0.02)
    even = np.linspace(values.min(), values.max(), count)
    assert _loss(values, table) < 0.5 * _loss(values, even)


def test_few_different_values_stay_what_they_are() -> None:
    values = np.repeat([3.0, -1.0, 0.5], 7)
    assert means(values, 16).tolist() == [-1.0, 0.5, 3.0]
    assert means(np.zeros(9), 4).tolist() == [0.0]
