"""The ratio that leaves so much, on widths that are counted by hand."""

import math

import pytest
import torch
from torch import nn

from makeweight.compress.target import least_ratio, macs
from makeweight.runtimes.runtime import RecipeFailed


@pytest.mark.parametrize(("wanted", "left"), [(0.5, 0.390625), (0.9, 0.765625), (0.1, 0.0625)])
def test_the_least_ratio_of_widths_in_steps(wanted: float, left: float) -> None:
    # 8 steps of width, whose square is what they multiply: (5/8)^2, (7/8)^2 and (2/8)^2
    ratio, reached = least_ratio(lambda ratio: (max(1, round((1 - ratio) * 8)) / 8) ** 2, wanted)
    assert reached == left
    width = round(math.sqrt(left) * 8)
    assert ratio == pytest.approx(1 - (width + 0.5) / 8, abs=0.01)


def test_what_no_ratio_reaches_is_told_with_what_is_left() -> None:
    with pytest.raises(RecipeFailed, match=r"40\.0% of the multiply-accumulates are left .* at most 30\.0%"):
        least_ratio(lambda ratio: max(0.4, 1 - ratio), 0.3)


def test_multiply_accumulates_are_counted_by_what_is_called() -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10))
    assert macs(module, {"image": torch.zeros(2, 3, 6, 6)}) == 2 * (8 * 3 * 9 * 36 + 8 * 36 * 10)
    with pytest.raises(RecipeFailed, match="counts no multiply-accumulates"):
        macs(nn.ReLU(), {"x": torch.zeros(2, 3)})
