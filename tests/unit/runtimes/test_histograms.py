"""The range that is chosen of a tensor's values, against what numpy finds on the values themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from makeweight.runtimes.histograms import BINS, ENTROPY_BINS, Histogram, chosen

RNG = np.random.default_rng(4)
NORMAL = RNG.standard_normal(40_000).astype(np.float32)
VALUES = {
    "both signs": NORMAL,
    "an outlier": np.append(NORMAL, np.float32(30)),
    "after Relu": np.maximum(NORMAL, 0),
    "a long tail": np.exp(1.5 * NORMAL),
    "below zero": -np.abs(NORMAL) - 1,
}


def _filled(values: NDArray[Any], cuts: int = 1) -> Histogram:
    histogram = Histogram(float(values.min()), float(values.max()))
    for part in np.array_split(values, cuts):
        histogram.add(part)
    return histogram


def _error(values: NDArray[Any], lowest: float, highest: float) -> float:
    """Of unsigned 8-bit integers with a zero point, as ONNX's QuantizeLinear rounds."""
    lowest, highest = min(lowest, 0), max(highest, 0)
    scale = (highest - lowest) / 255
    zero = np.rint(-lowest / scale)
    given = (np.clip(np.rint(values.astype(np.float64) / scale) + zero, 0, 255) - zero) * scale
    return float(np.square(given - values).mean())


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_no_range_has_a_squared_error_much_smaller(values: NDArray[Any]) -> None:
    found = _error(values, *chosen("mse", _filled(values)))
    lowest, highest = min(float(values.min()), 0), max(float(values.max()), 0)
    parts = np.linspace(0.02, 1, 50)
    sides = [[end * part for part in parts] if end else [0.0] for end in (lowest, highest)]
    tried = [_error(values, low, high) for low in sides[0][::4] + sides[0][-1:] for high in sides[1]]
    assert found <= 1.02 * min(tried)
    assert found <= 1.001 * _error(values, lowest, highest)


def test_an_outlier_is_cut_off_by_squared_error_and_by_percentile_and_kept_by_extremes() -> None:
    histogram = _filled(VALUES["an outlier"])
    assert chosen("minmax", histogram)[1] == 30
    # where n/12 ((h - l)/255)^2 + (30 - h)^2 has no slope, up to the distance of the ends that are tried
    slope, lowest = len(NORMAL) / 12 / 255**2, float(NORMAL.min())
    assert chosen("mse", histogram)[1] == pytest.approx((30 + slope * lowest) / (1 + slope), abs=60 * 8 / BINS)
    few = _filled(np.append(np.tile(NORMAL, 5), np.float32(30)))
    assert chosen("percentile", few)[1] < 5


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_a_percentile_is_that_of_the_sizes_to_a_bin(values: NDArray[Any]) -> None:
    lowest, highest = chosen("percentile", _filled(values))
    wanted = float(np.quantile(np.abs(values), 0.99999, method="inverted_cdf"))
    bin = np.abs(values).max() * 2 / BINS
    assert -1e-6 <= max(-lowest, highest) - min(wanted, np.abs(values).max()) <= bin + 1e-6
    assert values.min() <= lowest
    assert highest <= values.max()


@pytest.mark.parametrize("values", [VALUES["an outlier"], VALUES["a long tail"]], ids=["an outlier", "a long tail"])
def test_the_least_information_is_lost_where_onnx_runtimes_search_finds_it(values: NDArray[Any]) -> None:
    from onnxruntime.quantization.calibrate import HistogramCollector

    histogram = _filled(values)
    counts = histogram.counts.reshape(ENTROPY_BINS, -1).sum(axis=1)
    edges = histogram.edges[:: BINS // ENTROPY_BINS].astype(np.float32)
    search = HistogramCollector("entropy", False, ENTROPY_BINS, 128, None, None).get_entropy_threshold
    wanted = search((counts, edges, np.float32(histogram.lowest), np.float32(histogram.highest)), 128)
    assert chosen("entropy", histogram) == tuple(map(float, wanted))
    assert chosen("entropy", histogram)[1] < histogram.highest


@pytest.mark.parametrize("observer", ["minmax", "percentile", "entropy", "mse"])
def test_neither_order_nor_cut_counts_and_values_that_are_all_one_have_their_range(observer: Any) -> None:
    values = VALUES["an outlier"]
    assert chosen(observer, _filled(values)) == chosen(observer, _filled(RNG.permutation(values), 7))
    assert chosen(observer, _filled(np.zeros(5, np.float32))) == (0, 0)
    assert chosen(observer, _filled(np.full(9, 2, np.float32))) == (2, 2)
